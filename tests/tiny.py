"""Small real things for tests: a narrow student, a few pictures, batches of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ibsd.data.pairs import Pair
from ibsd.data.patches import ImageStack, PatchSource
from ibsd.students import Student, create_student


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
) -> PatchSource:
    """Batches of patches from three small pictures of unequal sizes; LR and HR are unrelated, which
    is harder to learn than real pairs."""
    lr, hr = (
        stack(list(sizes), 1),
        stack([(scale * height, scale * width) for height, width in sizes], 2),
    )
    return PatchSource(lr, hr, scale, patch_px, batch_size, seed, augment)


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
