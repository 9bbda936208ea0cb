"""Small real things for tests: a narrow student, a few pictures, batches of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ibsd.data.image_stack import ImageStack
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import Pair
from ibsd.data.patches import PairPatches
from ibsd.students import Student, create_student

SMALL: dict[str, list[dict[str, Any]]] = {
    "imdn": [{"width": 8, "num_blocks": 3}, {"width": 12, "num_blocks": 4}],
    "rfdn": [{"width": 8}],
    "rfdn-aim": [{"width": 8, "num_blocks": 3}, {"width": 10, "num_blocks": 5}],
    "omnisr": [{"width": 8, "num_groups": 3}, {"width": 16, "num_groups": 4}],
    "cdc": [{"width": 4, "num_hourglasses": 4}, {"width": 6, "num_hourglasses": 5}],
    "esrt": [{"width": 16}, {"width": 32}],
    "shufflemixer": [
        {"width": 16, "kernel_size": 3, "num_blocks": 3},
        {"width": 32, "kernel_size": 5, "num_blocks": 4},
    ],
    "span": [{"width": 8, "branches": False}, {"width": 10, "branches": True}],
}
"""Options of every network at small widths; the first of each is the smallest."""


def small(name: str, scale: int = 2, choice: int = 0, seed: int = 0) -> Student:
    """Any network of the registry with `SMALL[name][choice]`; seeded as `student` is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_student(name, scale, **SMALL[name][choice])


def student(seed: int = 0, scale: int = 2, width: int = 8) -> Student:
    """A narrow IMDN with three blocks; the same seed gives the same weights, and the global
    generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_student("imdn", scale=scale, width=width, num_blocks=3)


def stack(sizes: list[tuple[int, int]], seed: int = 0) -> ImageStack:
    """Smooth pictures with some noise, so that neither a constant nor white noise hides a
    mistake."""
    generator = np.random.default_rng(seed)
    planes = []
    for height, width in sizes:
        y, x = np.mgrid[:height, :width]
        phase = generator.uniform(0, 6, (3, 1, 1))
        picture = (
            128
            + 70 * np.sin(0.3 * x + 0.2 * y + phase)
            + 30 * generator.standard_normal((3, height, width))
        )
        planes.append(picture.clip(0, 255).astype(np.uint8).ravel())
    return ImageStack(torch.from_numpy(np.concatenate(planes)), sizes)


def source(
    scale: int = 2,
    patch_px: int = 8,
    batch_size: int = 3,
    seed: int = 0,
    sizes: tuple[tuple[int, int], ...] = ((11, 14), (9, 10), (16, 8)),
    augment: bool = True,
    views: int = 1,
) -> PairPatches:
    """Batches of patches from three small pictures of unequal sizes; LR and HR are unrelated, which
    is harder to learn than real pairs."""
    lr, hr = (
        stack(list(sizes), 1),
        stack([(scale * height, scale * width) for height, width in sizes], 2),
    )
    return PairPatches(lr, hr, scale, PatchOptions(batch_size, patch_px, augment, views), seed)


def write_pairs(
    folder: Path, sizes: list[tuple[int, int]], scale: int, seed: int = 0
) -> list[Pair]:
    """PNG files on the disk: every HR pixel repeats its LR pixel `scale` times each way, so that
    any misplaced crop shows."""
    generator = np.random.default_rng(seed)
    pairs = []
    for index, (height, width) in enumerate(sizes):
        lr = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pair = Pair(
            f"image{index}",
            folder / "LR" / f"image{index}.png",
            folder / "HR" / f"image{index}.png",
        )
        for path, pixels in (
            (pair.lr, lr),
            (pair.hr, lr.repeat(scale, axis=0).repeat(scale, axis=1)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        pairs.append(pair)
    return pairs
