"""Training patches from photographs alone: HR is cut from them, and LR is made of HR on the device,
anew for every batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibsd.data.degradation import Jpeg, Range, degrade, softened
from ibsd.data.image_stack import ImageStack
from ibsd.data.options import PatchOptions
from ibsd.data.patches import DrawnPatches, PatchSource
from ibsd.data.presets import find_preset
from ibsd.images import IMAGE_SUFFIXES, is_image_name, read_rgb
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
        assert hr.sizes == [(scale * height, scale * width) for height, width in lr_sizes], (
            "photograph_stack comes first"
        )
        with_margin = PatchOptions(
            options.batch_size, options.patch_px + 2 * MARGIN_PX, options.augment
        )
        super().__init__(lr_sizes, hr.device, scale, with_margin, seed, marks, part)
        self.lr_images = None
        self.hr = hr
        self.presets = [find_preset(name) for name in degradations]
        self.shares = torch.tensor(list(degradations.values()), dtype=torch.float64)
        self.softness = softness
        self.seed = seed
        # A step must not wait for the host.
        self.jpeg: Jpeg = "libjpeg" if self.device.type == "cpu" else "smooth"

    def cut_part(self, origin: Origin) -> Batch:
        """Every process degrades the whole batch and takes its part: what an image draws depends on
        the images before it."""
        batch = self.cut(origin)
        own = Origin(*(x[self.part] for x in batch.origin))
        return Batch(batch.lr[self.part], batch.hr[self.part], own)

    def cut(self, origin: Origin) -> Batch:
        """The patches at `origin`, a whole batch."""
        presets = torch.multinomial(
            self.shares, self.batch_size, replacement=True, generator=self.new_generator("cpu", 0)
        )
        counts = torch.bincount(presets, minlength=len(self.presets)).tolist()
        generator = self.new_generator(self.device, 1)
        origin = Origin(*(x.to(self.device, non_blocking=True) for x in origin))
        hr = self.hr.crop(origin, self.patch_px * self.scale, self.scale)
        hr = softened(hr, self.softness, generator)
        lr = torch.cat(
            [
                degrade(images, self.scale, preset, generator, jpeg=self.jpeg)
                for preset, images in zip(self.presets, hr.split(counts), strict=True)
                if len(images)
            ]
        )
        inner = slice(MARGIN_PX, -MARGIN_PX)
        outer = slice(MARGIN_PX * self.scale, -MARGIN_PX * self.scale)
        return Batch(lr[..., inner, inner].contiguous(), hr[..., outer, outer].contiguous(), origin)

    def new_generator(self, device: torch.device | str, stream: int) -> torch.Generator:
        """A generator that depends on the seed, the number of the batch and `stream` alone."""
        return torch.Generator(device).manual_seed(
            (1_000_003 * self.seed + 2 * self.num_batches + stream) % 2**63
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
        self._follow_first()


def find_photographs(folder: str | Path) -> tuple[Path, ...]:
    """Image files of a folder, sorted by name. InputError if it is no folder or holds none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name one that holds sharp photographs")
    files = sorted(path for path in folder.iterdir() if is_image_name(path) and path.is_file())
    if not files:
        raise InputError(
            f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}): "
            "name the folder that holds them directly"
        )
    return tuple(files)


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
