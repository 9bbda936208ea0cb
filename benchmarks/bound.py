"""How fast is the bound, and how much memory does it take, against the published form?

    python benchmarks/bound.py -o benchmarks/results/NAME.json [--threads 2] [--clock cpu] [--device
    cuda]

One link, forward and all three gradients, fp32, every form in turn in one process. `published` is
docs/method.md 3 as the published code computes it, all N^2 pairs in memory; `sort` computes it by
sorting along the batch. On a GPU each form is also replayed as a CUDA graph, which leaves the
host's time out: `device_seconds`. Prints a table and writes JSON.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timing import ceilings, extra_memory_mib, facts, in_turn, options
from torch import Tensor

from ibsd.information.club import club_upper_bound
from ibsd.information.kernels import compiled, eager
from ibsd.information.kernels.form import bound_form

MIB_AT_MOST = 8 * 1024
"""Published forms that would take more are left out."""
REPLAYS = 20
HOST_BOUND = ("eager loop", "sort")
"""Forms of many small launches, which no graph is made of."""


def published(earlier: Tensor, location: Tensor, spread: Tensor) -> Tensor:
    """All pairs at once; the mean over the width in place of its sum, as everywhere here."""
    positive = -(location - earlier).abs() / spread
    negative = -(earlier.unsqueeze(0) - location.unsqueeze(1)).abs().mean(dim=1) / spread
    return (positive - negative).mean()


def sorted_along_the_batch(
    f: Tensor, mu: Tensor, b: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Value and gradients from ranks and prefix sums, centred first; [N, positions]."""
    batch = f.shape[0]
    f, mu, precision = (
        x.t().contiguous() for x in (f, mu, b.reciprocal())
    )  # [positions, N], as searchsorted wants them
    centre = f.mean(dim=1, keepdim=True)
    f, mu = f - centre, mu - centre
    ordered = f.sort(dim=1).values
    sums = torch.nn.functional.pad(ordered.cumsum(dim=1), (1, 0))
    below, up_to = (torch.searchsorted(ordered, mu, right=right) for right in (False, True))
    distance = ((2 * up_to - batch) * mu - 2 * sums.gather(1, up_to) + sums[:, -1:]) / batch
    own = mu - f
    gain = (distance - own.abs()) * precision
    signs = (below + up_to - batch) / batch
    ordered_mu, order = mu.sort(dim=1)
    weights = torch.nn.functional.pad(precision.gather(1, order).cumsum(dim=1), (1, 0))
    mu_below, mu_up_to = (torch.searchsorted(ordered_mu, f, right=right) for right in (False, True))
    pull = weights[:, -1:] - weights.gather(1, mu_up_to) - weights.gather(1, mu_below)
    scale = 1.0 / f.numel()
    g_f = (own.sign() * precision - pull / batch) * scale
    g_mu = (signs - own.sign()) * precision * scale
    return gain.mean(), (g_f.t(), g_mu.t(), (gain * precision * -scale).t())


def with_gradients(function: Callable[..., Tensor], link: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(function(*link), link)


def forms(link: list[Tensor], with_published: bool) -> dict[str, Callable[[], Any]]:
    device = link[0].device
    flat = [x.detach().flatten(1) for x in link]
    found: dict[str, Callable[[], Any]] = {}
    if with_published:
        found["published"] = partial(with_gradients, published, link)
    found["eager loop"] = partial(eager.pairwise_gain, *flat)
    found["sort"] = partial(sorted_along_the_batch, *flat)
    found[f"club_upper_bound ({bound_form(device, batch=link[0].shape[0])})"] = partial(
        with_gradients, club_upper_bound, link
    )
    return found


def replayed(work: Callable[[], Any]) -> Callable[[], None]:
    """`work` captured as a CUDA graph and replayed REPLAYS times, one after another."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # what is made at a first call must not be captured
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()

    def replay() -> None:
        for _ in range(REPLAYS):
            graph.replay()

    return replay


def random_link(batch: int, channels: int, patch_px: int, device: torch.device) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (batch, channels, patch_px, patch_px)
    link = [
        torch.randn(shape, generator=generator),
        torch.randn(shape, generator=generator),
        torch.rand(shape, generator=generator) + 0.1,
    ]
    return [x.to(device).requires_grad_() for x in link]


def seconds_to_compile() -> float:
    """CPU seconds of the compiler and of what it starts."""
    compiler = shutil.which("cc") or "gcc"
    with tempfile.TemporaryDirectory() as folder:
        before = os.times()
        compiled.build_library(compiler, Path(folder) / "bound.so")
        after = os.times()
    return round(
        after.children_user + after.children_system - before.children_user - before.children_system,
        2,
    )


def main() -> None:
    parser = options(__doc__, 5)
    parser.add_argument("--channels", type=int, default=64)
    arguments = parser.parse_args()
    device, clock, channels = torch.device(arguments.device), arguments.clock, arguments.channels
    torch.set_num_threads(arguments.threads)

    limits = ceilings(clock, device)
    result: dict[str, Any] = facts(clock, device) | {
        "ceilings": limits,
        "channels": channels,
        "cases": [],
    }
    if device.type == "cpu" and compiled.function() is not None:
        result["seconds_to_compile"] = seconds_to_compile()
    print(f"{platform.machine()}, {arguments.threads} threads, {clock} clock; {limits}")
    cases = [(16, 48), (4, 48), (8, 48), (32, 48), (64, 48), (16, 32), (16, 64)]
    for batch, patch_px in cases:
        link = random_link(batch, channels, patch_px, device)
        needed = 4 * batch * link[0].nbytes / 2**20
        works = forms(link, needed <= MIB_AT_MOST)
        times = in_turn(
            works,
            arguments.repeats if batch <= 16 else max(1, arguments.repeats // 3),
            clock,
            device,
        )
        traffic = 6 * link[0].nbytes  # three read, three written
        on_device: dict[str, float] = {}
        if device.type == "cuda":
            captured = {
                name: replayed(work) for name, work in works.items() if name not in HOST_BOUND
            }
            replays = in_turn(captured, arguments.repeats, clock, device)
            on_device = {name: entry["median"] / REPLAYS for name, entry in replays.items()}
        rows = {}
        for name, work in works.items():
            rows[name] = {
                "seconds": round(times[name]["median"], 5),
                "times_published": round(times["published"]["median"] / times[name]["median"], 1)
                if "published" in times
                else None,
                "extra_mib": extra_memory_mib(work, device),
                "share_of_copy_bandwidth": round(
                    traffic
                    / on_device.get(name, times[name]["median"])
                    / 1e9
                    / limits["copy_gb_s"],
                    3,
                ),
            }
            if name in on_device:
                rows[name]["device_seconds"] = round(on_device[name], 7)
            print(
                f"N={batch:3} {patch_px}x{patch_px} {name:32}",
                *(f"{key} {value}" for key, value in rows[name].items()),
                sep="  ",
            )
        result["cases"].append({"batch": batch, "patch_px": patch_px, "forms": rows})
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
