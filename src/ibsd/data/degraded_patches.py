"""Training patches from photographs alone: HR is cut from them, and LR is made of HR on the device,
anew for every batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ibsd.data.degradation import Jpeg, Range, degrade, softened
from ibsd.data.image_stack import ImageStack
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import image_files
from ibsd.data.patches import DrawnPatches, PatchSource, join_views
from ibsd.data.presets import find_preset
from ibsd.data.shards import is_shards
from ibsd.images import read_rgb
from ibsd.types import Batch, InputError, Origin, Scale

MARGIN_PX = 4
"""LR pixels around a patch that are degraded with it and cut off, so that blur, resizing and JPEG
see what the photograph shows there."""


class PhotographPatches(DrawnPatches):
    """Random HR patches of photographs and their degraded LR.

    Args:
        hr: photographs whose sides are multiples of `scale`, as `photograph_stack` cuts them.
        degradations: share of each preset or single degradation (`data/presets.py`) among the
            images. Each image of a batch draws its own; those of one stand together in the batch.
        softness: least and greatest standard deviation of a blur of HR itself, in its pixels.
            Pictures from the web were shrunk, and are sharper than what a camera delivers.
        scale, options, seed, marks, part: as for `DrawnPatches`.

    Origins are those of a pair of the same place, margin included. The degradation of a batch
    depends on the seed and the number of the batch alone, so that a resumed run draws what an
    uninterrupted one draws.
    """

    def __init__(
        self,
        hr: ImageStack,
        degradations: Mapping[str, float],
        softness: Range,
        scale: Scale,
        options: PatchOptions,
        seed: int,
        marks: Sequence[int] = (),
        part: tuple[int, int] = (0, 1),
    ) -> None:
        lr_sizes = [(height // scale, width // scale) for height, width in hr.sizes]
        with_margin = replace(options, patch_px=options.patch_px + 2 * MARGIN_PX)
        super().__init__(hr, lr_sizes, scale, with_margin, seed, marks, part)
        self.lr_images = None
        self.presets = [find_preset(name) for name in degradations]
        self.shares = torch.tensor(list(degradations.values()), dtype=torch.float64)
        self.softness = softness
        # A step must not wait for the host.
        self.jpeg: Jpeg = "libjpeg" if self.device.type == "cpu" else "smooth"

    def cut_part(self, origin: Origin) -> Batch:
        """Every process degrades the whole batch and takes its part: what an image draws depends on
        the images before it."""
        batch = self.cut(origin)

        def own(x: Tensor) -> Tensor:
            return x.unflatten(0, (batch.num_views, -1))[:, self.part].flatten(0, 1)

        assert batch.origin is not None
        rows = Origin(*map(own, batch.origin))
        return Batch(own(batch.lr), own(batch.hr), rows, batch.num_views)

    def cut(self, origin: Origin) -> Batch:
        """The patches at `origin`, a whole batch."""
        chance = self.new_generator("cpu", 0)
        generator = self.new_generator(self.device, 1)
        hr = softened(self.hr_at(origin), self.softness, generator)
        views = [self.degraded(hr, chance, generator)]
        for _ in range(1, self.views):
            # Images of one degradation stand together: another order gives each its own again.
            order = torch.randperm(self.batch_size, generator=chance).to(self.device)
            views.append(self.degraded(hr[order], chance, generator)[order.argsort()])
        margins = (MARGIN_PX, MARGIN_PX)
        if self.scale == 1:  # a network that repairs must not learn where in a patch blocks end
            margins = torch.randint(2 * MARGIN_PX, (2,), generator=chance).tolist()

        def inner(images: Tensor, scale: int) -> Tensor:
            size = scale * (self.patch_px - 2 * MARGIN_PX)
            top, left = (scale * margin for margin in margins)
            return images[..., top : top + size, left : left + size].contiguous()

        lr = [inner(view, 1) for view in views]
        hr = inner(hr, self.scale)
        return Batch(lr[0], hr, origin) if self.views == 1 else join_views(lr, hr, origin)

    def degraded(self, hr: Tensor, chance: torch.Generator, generator: torch.Generator) -> Tensor:
        """LR of `hr`, margins included. `chance` draws which degradation each image gets."""
        presets = torch.multinomial(
            self.shares, self.batch_size, replacement=True, generator=chance
        )
        counts = torch.bincount(presets, minlength=len(self.presets)).tolist()
        return torch.cat(
            [
                degrade(images, self.scale, preset, generator, jpeg=self.jpeg)
                for preset, images in zip(self.presets, hr.split(counts), strict=True)
                if len(images)
            ]
        )


class MixedPatches(PatchSource):
    """Batches whose first patches are one source's and whose others are another's, of equal scale
    and patch size.

    For objectives that ask nothing of the source but batches. Origins count the images of each
    source from 0; digest and marks are the first source's.
    """

    def __init__(self, first: PatchSource, second: PatchSource) -> None:
        self.sources = (first, second)
        self.batch_size = first.batch_size + second.batch_size
        self.device = first.device
        self.lr_images = None
        self._follow_first()

    def _follow_first(self) -> None:
        first = self.sources[0]
        self.digest = first.digest
        self.num_batches = first.num_batches
        self.marked = first.marked

    def next_batch(self) -> Batch:
        a, b = (source.next_batch() for source in self.sources)
        self._follow_first()
        assert a.origin is not None
        assert b.origin is not None
        assert a.num_views == b.num_views, "one [data] section gives both their number of views"

        def joined(x: Tensor, y: Tensor) -> Tensor:
            views = [z.unflatten(0, (a.num_views, -1)) for z in (x, y)]
            return torch.cat(views, dim=1).flatten(0, 1)

        origin = Origin(*map(joined, a.origin, b.origin))
        return Batch(joined(a.lr, b.lr), joined(a.hr, b.hr), origin, a.num_views)

    def state(self) -> dict[str, Any]:
        return {"sources": [source.state() for source in self.sources]}

    def load_state(self, state: dict[str, Any]) -> None:
        for source, own in zip(self.sources, state["sources"], strict=True):
            source.load_state(own)
        self._follow_first()


def find_photographs(folder: str | Path) -> tuple[Path, ...]:
    """Image files of a folder, sorted by name. InputError if it is no folder or holds none."""
    if is_shards(folder):
        raise InputError(f"{folder} holds shards, for training alone: name a folder of photographs")
    return tuple(image_files(Path(folder)))


def photograph_stack(
    paths: Sequence[Path], scale: Scale, device: torch.device | str = "cpu"
) -> ImageStack:
    """Photographs decoded once, each cut to a multiple of `scale`."""

    def cut() -> Iterator[np.ndarray]:
        for path in paths:
            pixels = read_rgb(path)
            height, width = (side // scale * scale for side in pixels.shape[:2])
            yield pixels[:height, :width]

    return ImageStack.from_arrays(cut(), device)
