"""Does an upscaler leave a grid? The pattern of its own period that it adds to flat areas, whatever
they show.

    python benchmarks/grid.py FOLDER WEIGHTS [WEIGHTS ...] [--every 4]

On the flattest 40 % of 16 x 16 blocks of the HR photographs: the SR picture's difference to its
mean over 5 x 5 pixels, averaged over all pixels at the same place of the scale x scale period, in
levels of 255. What differs between places follows the network's steps and not the picture. Prints
the mean of its absolute values over the places and over the photographs; HR itself has what chance
leaves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ibsd import load_student
from ibsd.data.degraded_patches import find_photographs
from ibsd.data.presets import PRESETS
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.images.rgb import to_tensor

BLOCK_PX = 16
FLAT = 0.4


def flat_blocks(hr: Tensor) -> Tensor:
    """[1, 1, H, W]: 1 where the block varies least, else 0."""
    grey = hr.mean(1, keepdim=True)
    variance = F.avg_pool2d(grey.square(), BLOCK_PX) - F.avg_pool2d(grey, BLOCK_PX).square()
    limit = variance.flatten().quantile(FLAT)
    return F.interpolate((variance <= limit).float(), scale_factor=BLOCK_PX)


def grid_levels(sr: Tensor, flat: Tensor, period: int) -> float:
    """Mean absolute value, over the places of a period, of what is finer than 5 x 5 pixels."""
    grey = sr.mean(1, keepdim=True)
    fine = 255 * (grey - F.avg_pool2d(F.pad(grey, (2, 2, 2, 2), mode="reflect"), 5, 1)) * flat
    height, width = fine.shape[-2:]

    def by_place(x: Tensor) -> Tensor:
        return x.reshape(height // period, period, width // period, period).sum((0, 2))

    return (by_place(fine) / by_place(flat)).abs().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("weights", nargs="+", help="of one scale; files, or names of shipped ones")
    parser.add_argument("--every", type=int, default=4, help="take every n-th photograph")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    students = {Path(weights).stem: load_student(weights) for weights in arguments.weights}
    scale = next(iter(students.values())).spec.scale
    methods: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"HR itself": lambda lr, hr: hr}
    methods |= {
        name: lambda lr, hr, student=student: student(lr).clamp(0, 1)
        for name, student in students.items()
    }
    paths = list(find_photographs(arguments.photographs))[:: arguments.every]
    for preset in ("clean", "camera"):
        found: dict[str, list[float]] = {name: [] for name in methods}
        for _, lr, hr in degraded_pairs(paths, PRESETS[preset], scale):
            flat = flat_blocks(to_tensor(hr))
            with torch.inference_mode():
                for name, method in methods.items():
                    found[name].append(
                        grid_levels(method(to_tensor(lr), to_tensor(hr)), flat, scale)
                    )
        print(
            "\n".join(
                f"{preset:8s}{name:24s}{sum(levels) / len(levels):8.3f} levels"
                for name, levels in found.items()
            )
        )


if __name__ == "__main__":
    main()
