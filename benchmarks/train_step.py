"""What does a training step of IBSD cost beside a plain one, and where does it go?

    python benchmarks/train_step.py -o benchmarks/results/NAME.json [--threads 2] [--clock cpu]
    [--device cuda] [--precision bf16] [--student rfdn]

Whole updates by the trainer, every variant in turn in one process, batch 16, LR patch 48: plain;
IBSD on pixels and on averages over blocks of 4 and 8; IBSD with the published form of the bound
(all N^2 pairs in memory); and ways of making IBSD on pixels cheaper. Then IBSD's parts one by one.
The bank's refresh is spread over its period. Prints tables and writes JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from bound import published
from timing import ceilings, facts, in_turn, options
from torch import Tensor

from ibsd.data.image_stack import ImageStack
from ibsd.data.options import PatchOptions
from ibsd.data.patches import PairPatches
from ibsd.distillation import IBSD, Objective, Plain
from ibsd.distillation.objective import held_fixed
from ibsd.distillation.soft_target import fill_bank
from ibsd.distillation.wavelet import wavelet_loss
from ibsd.information.chain import sum_of
from ibsd.information.club import laplace_nll
from ibsd.students import Student, create_student
from ibsd.training import Trainer, TrainingOptions
from ibsd.types import Batch

IMAGES, IMAGE_PX = 8, 128
"""The training images that the source cuts from; their number is free, their size is that of the
committed configs' crops."""
BANK_IMAGES = 64
"""Whole images that a refresh runs over, as in the committed configs."""
OPTIONS: dict[str, Any] = {
    "lambda_mi": 1e-5,
    "lambda_hf": 0.02,
    "warm_up": 0,
    "ramp": 0,
    "period": 500,
}


class PublishedBound(IBSD):
    """The bound as the published code computes it."""

    def bound(self, link: tuple[Tensor, ...], num_views: int = 1) -> Tensor:
        return published(*link)


class EverySecondStep(IBSD):
    """Estimators learn in every second step only."""

    step = 0

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        self.step += 1
        return super().auxiliary_step(nodes) if self.step % 2 else {}


class EverySecondPixel(IBSD):
    """Estimators learn from every second pixel each way."""

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        return super().auxiliary_step([node[..., ::2, ::2].contiguous() for node in nodes])


def source(scale: int, patch_px: int, batch_size: int, device: torch.device) -> PairPatches:
    generator = torch.Generator().manual_seed(0)
    stacks = []
    for factor in (1, scale):
        side = IMAGE_PX * factor
        flat = torch.randint(
            0, 256, (IMAGES * 3 * side * side,), dtype=torch.uint8, generator=generator
        )
        stacks.append(ImageStack(flat.to(device), [(side, side)] * IMAGES))
    return PairPatches(stacks[0], stacks[1], scale, PatchOptions(batch_size, patch_px), seed=0)


def variants(student: Student) -> dict[str, Callable[[], Objective]]:
    def ibsd(family: type[IBSD] = IBSD, **options: Any) -> Objective:
        return family(copy.deepcopy(student), **OPTIONS | options)

    return {
        "plain": lambda: Plain(copy.deepcopy(student)),
        "ibsd, pixels": ibsd,
        "ibsd, pool 4": lambda: ibsd(pool=4),
        "ibsd, pool 8": lambda: ibsd(pool=8),
        "ibsd, pixels, published bound": lambda: ibsd(PublishedBound),
        "ibsd, pixels, estimators learn every second step": lambda: ibsd(EverySecondStep),
        "ibsd, pixels, estimators learn from every second pixel": lambda: ibsd(EverySecondPixel),
    }


def main() -> None:
    parser = options(__doc__, 5)
    parser.add_argument("--student", default="imdn")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch-px", type=int, default=48)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument(
        "--few", action="store_true", help="plain, pixels and pool 4 only, and no parts"
    )
    arguments = parser.parse_args()
    device, clock = torch.device(arguments.device), arguments.clock
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    student = create_student(arguments.student, 4).to(device)
    patches = source(4, arguments.patch_px, arguments.batch, device)

    works = {}
    for name, make in variants(student).items():
        if arguments.few and name not in ("plain", "ibsd, pixels", "ibsd, pool 4"):
            continue
        trainer = Trainer(
            make(),
            patches,
            TrainingOptions(
                num_steps=10**6,
                log_every=0,
                precision=arguments.precision,
                channels_last=arguments.channels_last,
            ),
        )
        trainer.step = OPTIONS["period"]  # the first step fills the bank, outside what is timed
        works[name] = trainer.update
    times = in_turn(works, arguments.repeats, clock, device)

    images = patches.lr.sizes
    refresh = in_turn({"bank": lambda: fill_bank(student, patches.lr)}, 1, clock, device)["bank"][
        "median"
    ] / len(images)
    refresh *= BANK_IMAGES / OPTIONS["period"]  # seconds a step
    plain = times["plain"]["median"]
    result: dict[str, Any] = facts(clock, device) | {
        "ceilings": ceilings(clock, device),
        "setting": {
            key: getattr(arguments, key)
            for key in ("student", "batch", "patch_px", "precision", "channels_last")
        }
        | OPTIONS,
        "bank_refresh_seconds_a_step": round(refresh, 5),
        "steps": {},
    }
    for name, entry in times.items():
        spent = entry["median"] + (refresh if name != "plain" else 0)
        result["steps"][name] = {"seconds": round(spent, 4), "times_plain": round(spent / plain, 3)}
        print(f"{name:56} {spent:8.4f} s   {spent / plain:6.3f} x plain")

    views = () if arguments.few else (0, 4, 8)
    parts = {
        f"pool {pool}": measured_parts(student, pool, patches, arguments, device) for pool in views
    }
    result["parts"] = {
        view: {part: round(spent, 5) for part, spent in entry.items()}
        for view, entry in parts.items()
    }
    for view, entry in parts.items():
        print(view, *(f"{part} {1e3 * spent:.1f} ms" for part, spent in entry.items()), sep="   ")
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def measured_parts(
    student: Student,
    pool: int,
    patches: PairPatches,
    arguments: argparse.Namespace,
    device: torch.device,
) -> dict[str, float]:
    """Seconds of each part of a step on one batch."""
    objective = IBSD(copy.deepcopy(student), **OPTIONS, pool=pool)
    objective.prepare(patches)
    objective.begin_step(OPTIONS["period"], 10**6)
    batch: Batch = patches.next_batch()
    with torch.no_grad():
        sr, nodes = objective.student.trace(batch.lr)
    nodes = [node.detach().float().requires_grad_() for node in nodes]
    sr = sr.detach().requires_grad_()
    maps = tuple(each.detach() for each in objective.view(nodes, batch.hr))
    with torch.no_grad():
        links = [
            tuple(x.detach().requires_grad_() for x in link) for link in objective.chain.links(maps)
        ]

    def estimators_and_bound() -> None:
        with held_fixed(objective.chain):
            seen = objective.chain.links(objective.view(nodes, batch.hr))
            torch.autograd.grad(sum_of([objective.bound(link) for link in seen]), nodes)

    def shared_pass() -> None:
        """What the two passes over the estimators would be as one: exact, as they have not learned
        in between."""
        links = objective.chain.links(objective.view(nodes, batch.hr))
        torch.autograd.grad(
            sum_of([objective.bound(link) for link in links]), nodes, retain_graph=True
        )
        nll = sum_of([laplace_nll(link[0].detach(), link[1], link[2]) for link in links])
        torch.autograd.grad(nll, list(objective.chain.parameters()))

    works: dict[str, Callable[[], Any]] = {
        "data": patches.next_batch,
        "view, estimators and bound, to the nodes": estimators_and_bound,
        "of these the bound": lambda: [
            torch.autograd.grad(objective.bound(link), link) for link in links
        ],
        "estimators learn": lambda: objective.auxiliary_step(maps),
        "both as one shared pass, without the estimators' Adam": shared_pass,
        "soft target": lambda: objective.soft_target(batch),
        "wavelet": lambda: torch.autograd.grad(wavelet_loss(sr, batch.hr), sr),
    }
    times = in_turn(works, arguments.repeats, arguments.clock, device)
    return {name: entry["median"] for name, entry in times.items()}


if __name__ == "__main__":
    main()
