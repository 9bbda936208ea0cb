"""Does the data keep up with training?

    python benchmarks/data.py -o benchmarks/results/NAME.json [--threads 2] [--clock cpu] [--device
    cuda] [--step-seconds 1.1]

Batches of 16 patches (LR 48) from made-up pairs of 128 and 512 pixels: cut from images that are
resident on the device, cut from memory-mapped ones, cut from HR alone and degraded by every preset
on the device, and as a data set class usually does it: both files of a pair decoded for every
patch. Beside it one plain training step of IMDN x4, which eats one such batch; its time can be
given (of another run on the same machine) in place of being measured. Prints a table and writes
JSON.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timing import facts, in_turn, options
from torch import Tensor

from ibsd.data.degraded_patches import PhotographPatches
from ibsd.data.image_stack import augment, resident_stacks
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import Pair
from ibsd.data.patches import PairPatches
from ibsd.data.presets import PRESETS
from ibsd.distillation import Plain
from ibsd.images.rgb import read_rgb, to_tensor
from ibsd.students import create_student
from ibsd.training import Trainer, TrainingOptions

SCALE, LR_PX, PATCH_PX, BATCH, PAIRS = 4, 128, 48, 16, 16
OPTIONS = PatchOptions(BATCH, PATCH_PX)


def write_pairs(folder: Path) -> list[Pair]:
    """Smooth pictures with noise, as PNG: about as many bytes a pixel as photographs."""
    generator = np.random.default_rng(0)
    pairs = []
    for index in range(PAIRS):
        pair = Pair(f"{index}", folder / f"{index}-lr.png", folder / f"{index}-hr.png")
        for path, side in ((pair.lr, LR_PX), (pair.hr, LR_PX * SCALE)):
            y, x = np.mgrid[:side, :side]
            picture = (
                128
                + 80 * np.sin(x / 17 + index)[..., None] * np.cos(y / 23)[..., None]
                + generator.normal(0, 6, (side, side, 3))
            )
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
        pairs.append(pair)
    return pairs


def from_files(pairs: list[Pair], order: random.Random) -> tuple[Tensor, Tensor]:
    """One batch, every patch from files decoded for it."""
    patches: tuple[list[Tensor], list[Tensor]] = ([], [])
    for _ in range(BATCH):
        pair = order.choice(pairs)
        top, left, turn = (
            order.randrange(LR_PX - PATCH_PX + 1),
            order.randrange(LR_PX - PATCH_PX + 1),
            order.randrange(8),
        )
        for kept, path, factor in ((patches[0], pair.lr, 1), (patches[1], pair.hr, SCALE)):
            size, y, x = PATCH_PX * factor, top * factor, left * factor
            kept.append(augment(to_tensor(read_rgb(path))[..., y : y + size, x : x + size], turn))
    return torch.cat(patches[0]), torch.cat(patches[1])


def main() -> None:
    parser = options(__doc__, 15)
    parser.add_argument("--step-seconds", type=float, default=0.0)
    arguments = parser.parse_args()
    device, clock = torch.device(arguments.device), arguments.clock
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        pairs = write_pairs(Path(name))
        resident = PairPatches(*resident_stacks(pairs, device), SCALE, OPTIONS, seed=0)
        mapped = PairPatches(
            *resident_stacks(pairs, device, 1, Path(name) / "cache"), SCALE, OPTIONS, seed=0
        )
        degraded = {
            name: PhotographPatches(resident.hr, {name: 1.0}, (0.0, 0.0), SCALE, OPTIONS, seed=0)
            for name in PRESETS
        }
        order = random.Random(0)
        works = {
            "resident on the device": resident.next_batch,
            "memory-mapped": mapped.next_batch,
            **{f"photographs, {name}": preset.next_batch for name, preset in degraded.items()},
            "files decoded for every patch": lambda: [
                x.to(device) for x in from_files(pairs, order)
            ],
        }
        times = {
            key: entry["median"]
            for key, entry in in_turn(works, arguments.repeats, clock, device).items()
        }
        step = arguments.step_seconds
        if not step:
            trainer = Trainer(
                Plain(create_student("imdn", SCALE).to(device)),
                resident,
                TrainingOptions(num_steps=100, log_every=0),
            )
            step = (
                in_turn({"step": trainer.update}, 3, clock, device)["step"]["median"]
                - times["resident on the device"]
            )
    result: dict[str, Any] = facts(clock, device) | {
        "plain_step_seconds_without_data": round(step, 4),
        "sources": {},
    }
    for key, spent in times.items():
        entry = {
            "patches_a_second": round(BATCH / spent),
            "seconds_a_batch": round(spent, 5),
            "times_what_a_step_eats": round(step / spent, 1),
            "share_of_a_step": round(spent / (spent + step), 4),
        }
        result["sources"][key] = entry
        print(f"{key:32}", *(f"{name} {value}" for name, value in entry.items()), sep="   ")
    print(f"training eats {BATCH / step:.1f} patches a second")
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
