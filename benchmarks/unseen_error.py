"""What goes wrong on a camera that training never saw, and what a filter of 49 weights would do
there.

    python benchmarks/unseen_error.py PAIRS --camera 'Nikon*' --unseen 'Canon*' --splits train val
    test \\
        plain=runs/compare/KEY/last.safetensors plain=... ibsd=... -o benchmarks/results/NAME.json

PAIRS is a folder in the published layout; weights with one name are seeds of one arm. The squared
error of Y (8 bits, `basicsr-y`'s border) is split into three parts that add up: the picture's mean
shift, what is left after averaging over blocks of 16 x 16 pixels (coarse), and the rest (fine).
Beside the students stand bicubic and a linear filter, 7 x 7 LR pixels to the s x s HR pixels of the
middle one, fitted by least squares to the `train` pairs of the camera that the students were
trained on: the part of the gain that needs no network.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.comparison.machine import machine_facts
from ibsd.data.pairs import Pair, find_layout, load_pair
from ibsd.images.rgb import bicubic, to_tensor
from ibsd.metrics.fidelity import luma
from ibsd.students import load_student

BLOCK_PX = 16
FILTER_PX = 7
RIDGE = 1e-4
"""Of the mean squared difference to the middle pixel: keeps the normal equations solvable."""

Upscaler = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path)
    parser.add_argument("weights", nargs="+", help="ARM=FILE, once a seed")
    parser.add_argument("--camera", required=True, help="pattern of the pairs trained on")
    parser.add_argument("--unseen", required=True, help="pattern of the pairs to score on")
    parser.add_argument(
        "--splits", nargs="+", default=["train", "val", "test"], choices=["train", "val", "test"]
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    files = [
        (name, Path(path)) for name, _, path in (text.partition("=") for text in arguments.weights)
    ]
    students = [(name, load_student(path)) for name, path in files]
    scale = students[0][1].spec.scale
    train = find_layout(arguments.pairs).select(arguments.camera).train
    sets = find_layout(arguments.pairs).select(arguments.unseen)
    unseen = [pair for split in arguments.splits for pair in getattr(sets, split)]
    methods: list[tuple[str, Upscaler]] = [
        ("bicubic", lambda lr: bicubic(lr, scale)),
        ("linear filter", fitted_filter(train, scale)),
    ]
    figures: dict[str, list[dict[str, float]]] = defaultdict(list)
    for name, upscale in [*methods, *students]:
        figures[name].append(mean_of([parts(upscale, pair, scale) for pair in unseen]))
    result: dict[str, Any] = {
        "camera": arguments.camera,
        "unseen": arguments.unseen,
        "images": len(unseen),
        "machine": machine_facts(torch.device("cpu")),
        "arms": dict(figures),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    base = figures["bicubic"][0]["psnr_y"]
    print(
        f"{'':16} {'PSNR-Y':>8} {'gain':>7}   "
        "error of Y, squared 8-bit levels: shift, coarse, fine   (mean over seeds)"
    )
    for name, seeds in figures.items():
        mean = mean_of(seeds)
        shares = "  ".join(f"{mean[part]:7.1f}" for part in ("shift", "coarse", "fine"))
        print(
            f"{name:16} {mean['psnr_y']:8.3f} {mean['psnr_y'] - base:+7.3f}   {shares}   "
            f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
        )


@torch.inference_mode()
def parts(upscale: Upscaler, pair: Pair, scale: int) -> dict[str, float]:
    """PSNR-Y and the three parts of the mean squared error of one picture; the sides are cut to
    whole blocks."""
    lr, hr = (to_tensor(pixels) for pixels in load_pair(pair))
    sr = (upscale(lr).clamp(0, 1) * 255).round() / 255
    error = (luma(sr) - luma(hr))[..., scale:-scale, scale:-scale]
    height, width = (side // BLOCK_PX * BLOCK_PX for side in error.shape[-2:])
    whole = error[..., :height, :width]
    blocks = F.avg_pool2d(whole, BLOCK_PX)
    shift, coarse = float(blocks.mean().square()), float(blocks.square().mean())
    return {
        "psnr_y": float(10 * torch.log10(255**2 / error.square().mean())),
        "shift": shift,
        "coarse": coarse - shift,
        "fine": float(whole.square().mean()) - coarse,
    }


def fitted_filter(pairs: Sequence[Pair], scale: int) -> Upscaler:
    """The least-squares filter for every channel alike, from each LR pixel's neighbourhood, less
    the pixel itself, to its HR pixels."""
    taps = FILTER_PX**2
    normal, right = (
        torch.zeros(taps, taps, dtype=torch.float64),
        torch.zeros(taps, scale**2, dtype=torch.float64),
    )
    for pair in pairs:
        lr, hr = (
            to_tensor(pixels).transpose(0, 1) for pixels in load_pair(pair)
        )  # colours as images of one channel
        x = neighbourhoods(lr).double()
        y = (
            F.pixel_unshuffle(hr, scale).flatten(2).transpose(1, 2).reshape(-1, scale**2).double()
            - lr.reshape(-1, 1).double()
        )
        normal += x.T @ x
        right += x.T @ y
    ridge = RIDGE * normal.diagonal().mean() * torch.eye(taps, dtype=torch.float64)
    weights = torch.linalg.solve(normal + ridge, right).float()

    def upscale(lr: Tensor) -> Tensor:
        channels = lr.transpose(0, 1)
        height, width = lr.shape[-2:]
        fine = (
            (neighbourhoods(channels) @ weights)
            .view(3, height * width, scale**2)
            .transpose(1, 2)
            .reshape(3, scale**2, height, width)
        )
        return F.pixel_shuffle(fine + channels, scale).transpose(0, 1)

    return upscale


def neighbourhoods(images: Tensor) -> Tensor:
    """[N, 1, H, W] -> [N H W, 49]: the pixels around each, repeated at the border, less the pixel
    itself."""
    margin = FILTER_PX // 2
    columns = F.unfold(F.pad(images, [margin] * 4, mode="replicate"), FILTER_PX)
    return (columns - images.flatten(2)).transpose(1, 2).reshape(-1, FILTER_PX**2)


def mean_of(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


if __name__ == "__main__":
    main()
