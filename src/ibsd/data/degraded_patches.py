"""Training patches from photographs alone: HR is cut from them, LR is made of it on the device,
anew for every batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibsd.data.degradations import Range
from ibsd.data.families import family
from ibsd.data.patches import ImageStack, PatchSource
from ibsd.data.presets import Jpeg, degrade, softened
from ibsd.images.rgb import IMAGE_SUFFIXES, is_image_name, read_rgb
from ibsd.types import Batch, InputError, Origin, Scale

MARGIN_PX = 4
"""LR pixels around a patch that are degraded with it and cut off, so that blur, resizing and JPEG
see what the photograph shows there."""


class PhotographPatches(PatchSource):
    """Endless random batches of HR patches and their degraded LR.

    Args as `PatchSource`, but
        mixture: share of each preset or family (`data/families.py`) among the images; each image of
            a batch draws its own, and those of one stand together in the batch.
        softness: standard deviations of a blur of HR itself, in its pixels: pictures from the web
            were shrunk, and are sharper than what a camera delivers pixel by pixel.

    Origins are those of a pair of the same place, margin included. The degradation of a batch
    depends on the seed and the number of the batch alone, so that a resumed run draws what an
    uninterrupted one draws.
    """

    def __init__(
        self,
        hr: ImageStack,
        mixture: Mapping[str, float],
        scale: Scale,
        patch_px: int,
        batch_size: int,
        seed: int,
        augment: bool = True,
        softness: Range = (0.0, 0.0),
        marks: Sequence[int] = (),
        part: tuple[int, int] = (0, 1),
    ) -> None:
        # A stack of LR that holds nothing but sizes: LR is made when it is cut.
        lr = ImageStack.__new__(ImageStack)
        lr.flat, lr.sizes = (
            hr.flat,
            [(height // scale, width // scale) for height, width in hr.sizes],
        )
        super().__init__(
            lr, hr, scale, patch_px + 2 * MARGIN_PX, batch_size, seed, augment, marks, part
        )
        # Every process degrades the whole batch and takes its part: what an image draws depends on
        # the images before it.
        self.own, self.part = self.part, slice(None)
        self.presets = [family(name) for name in mixture]
        self.shares = torch.tensor(list(mixture.values()), dtype=torch.float64)
        self.seed, self.softness = seed, softness
        self.jpeg: Jpeg = (
            "libjpeg" if self.device.type == "cpu" else "smooth"
        )  # a step must not wait for the host

    def next_batch(self) -> Batch:
        batch = super().next_batch()
        return Batch(
            batch.lr[self.own], batch.hr[self.own], Origin(*(x[self.own] for x in batch.origin))
        )

    def cut(self, origin: Origin) -> Batch:
        chosen = (
            torch.multinomial(
                self.shares, self.batch_size, replacement=True, generator=self.fresh("cpu", 0)
            )
            .sort()
            .values
        )
        generator = self.fresh(self.device, 1)
        origin = Origin(*(x.to(self.device, non_blocking=True) for x in origin))
        hr = softened(
            self.hr.crop(origin, self.patch_px * self.scale, self.scale), self.softness, generator
        )
        parts = hr.split(torch.bincount(chosen, minlength=len(self.presets)).tolist())
        lrs = [
            degrade(x, self.scale, preset, generator, jpeg=self.jpeg)
            for preset, x in zip(self.presets, parts, strict=True)
            if len(x)
        ]
        inner, outer = (slice(side, -side) for side in (MARGIN_PX, MARGIN_PX * self.scale))
        return Batch(
            torch.cat(lrs)[..., inner, inner].contiguous(),
            hr[..., outer, outer].contiguous(),
            origin,
        )

    def fresh(self, device: torch.device | str, which: int) -> torch.Generator:
        """A generator that depends on the seed, the number of the batch and `which` alone."""
        return torch.Generator(device).manual_seed(
            (1_000_003 * self.seed + 2 * self.num_batches + which) % 2**63
        )


class MixedPatches(PatchSource):
    """Batches whose first patches are one source's and whose others are another's, of equal scale
    and size.

    For objectives that ask nothing of the source but batches; origins count images of each source
    from 0.
    """

    def __init__(self, first: PatchSource, second: PatchSource) -> None:
        self.sources = (first, second)
        self.lr, self.hr, self.scale, self.patch_px, self.augment = (
            first.lr,
            first.hr,
            first.scale,
            first.patch_px,
            first.augment,
        )
        self.batch_size = first.batch_size + second.batch_size
        self.marks, self.marked = first.marks, first.marked

    def next_batch(self) -> Batch:
        a, b = (source.next_batch() for source in self.sources)
        self.digest, self.num_batches = self.sources[0].digest, self.sources[0].num_batches
        return Batch(
            torch.cat([a.lr, b.lr]),
            torch.cat([a.hr, b.hr]),
            Origin(*map(torch.cat, zip(a.origin, b.origin, strict=True))),
        )

    def state(self) -> dict[str, Any]:
        return {"sources": [source.state() for source in self.sources]}

    def load_state(self, state: dict[str, Any]) -> None:
        for source, own in zip(self.sources, state["sources"], strict=True):
            source.load_state(own)


def find_photographs(folder: str | Path) -> tuple[Path, ...]:
    """Image files of a folder, sorted by name. InputError if it is none or holds none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name one that holds sharp photographs")
    found = sorted(path for path in folder.iterdir() if is_image_name(path) and path.is_file())
    if not found:
        raise InputError(
            f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}): name the folder that holds them directly"
        )
    return tuple(found)


def photograph_stack(
    paths: Sequence[Path], scale: Scale, device: torch.device | str = "cpu"
) -> ImageStack:
    """Photographs decoded once, each cut to a multiple of `scale`."""
    sizes, planes = [], []
    for path in paths:
        pixels = read_rgb(path)
        height, width = (side // scale * scale for side in pixels.shape[:2])
        sizes.append((height, width))
        planes.append(
            torch.from_numpy(
                np.ascontiguousarray(pixels[:height, :width].transpose(2, 0, 1))
            ).flatten()
        )
    return ImageStack(torch.cat(planes).to(device), sizes)
