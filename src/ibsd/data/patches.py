"""Sources of training batches: patches cut on the device where training runs, so that a step never
waits for a loader."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ibsd.data.image_stack import ImageStack, Size
from ibsd.data.jitter import jittered
from ibsd.data.options import PatchOptions
from ibsd.types import Batch, InputError, Origin, Scale

JITTER_STREAM = 500_000_000
"""Stream of `new_generator`, far from those that degradations use."""


def join_views(views: Sequence[Tensor], hr: Tensor, origin: Origin) -> Batch:
    """One batch of several LR views of the same HR: all rows of the first view, then all of the
    next."""
    count = len(views)
    repeated = Origin(*(x.repeat(count) for x in origin))
    return Batch(torch.cat(list(views)), hr.repeat(count, 1, 1, 1), repeated, count)


class PatchSource(ABC):
    """Endless batches of LR patches and their HR."""

    batch_size: int
    """Patches drawn a batch, over all processes."""
    device: torch.device
    lr_images: ImageStack | None
    """The whole LR images that `Origin.image` counts; None where LR is made when it is cut."""
    digest: bytes
    """SHA-256 chained over the origins of all batches so far: equal for two runs that cut the same
    patches in the same order."""
    num_batches: int
    """Batches so far."""
    groups: Tensor | None = None
    """Group of each training image, [images], where data.groups names them."""
    marked: dict[int, bytes]
    """`digest` as it was after so many batches, for each of the `marks` that was reached."""

    @abstractmethod
    def next_batch(self) -> Batch:
        """This process's part of the next batch."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Generators and digests, for exact resumes."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None: ...


class DrawnPatches(PatchSource):
    """Batches whose origins are drawn at random: images uniformly with replacement, positions
    uniformly within each.

    Args:
        hr: stack of the HR images, on the device of the batches.
        lr_sizes: (height, width) of the LR images, `scale` times smaller than HR's.
        scale: 1 to 4.
        options: number of patches a batch, their size, and augmentation.
        seed: of this source's own generator. Nothing else draws from it, so objectives cannot
            disturb the order of the data.
        marks: numbers of batches at which `digest` is kept, in `marked`.
        part: (k, n): every batch is drawn whole, and of n equal parts the k-th, counted from 0, is
            cut. So n processes train on what one would.

    Errors: InputError for images smaller than a patch, and a batch that n does not divide.
    """

    def __init__(
        self,
        hr: ImageStack,
        lr_sizes: Sequence[Size],
        scale: Scale,
        options: PatchOptions,
        seed: int,
        marks: Sequence[int],
        part: tuple[int, int],
    ) -> None:
        assert hr.sizes == [(scale * height, scale * width) for height, width in lr_sizes], (
            "check_pairs or photograph_stack comes first"
        )
        number, parts = part
        if small := [size for size in lr_sizes if min(size) < options.patch_px]:
            raise InputError(
                f"{len(small)} training images are smaller than a patch of {options.patch_px} px; "
                "lower data.patch_px or remove them"
            )
        if options.batch_size % parts:
            raise InputError(
                f"data.batch_size is {options.batch_size}; for {parts} processes it must be a "
                f"multiple of {parts}"
            )
        self.hr = hr
        self.device = hr.device
        self.scale = scale
        self.patch_px = options.patch_px
        self.batch_size = options.batch_size
        self.augment = options.augment
        self.views = options.views
        self.seed = seed
        # The generator is on the host: the same patches on every kind of device.
        self.generator = torch.Generator().manual_seed(seed)
        self.rows = torch.tensor([height - self.patch_px + 1 for height, _ in lr_sizes])
        self.columns = torch.tensor([width - self.patch_px + 1 for _, width in lr_sizes])
        self.digest = bytes(hashlib.sha256().digest_size)
        self.num_batches = 0
        self.marks = tuple(marks)
        self.marked = {}
        self.part = slice(
            number * self.batch_size // parts, (number + 1) * self.batch_size // parts
        )

    @abstractmethod
    def cut(self, origin: Origin) -> Batch:
        """The patches at `origin`, which is on the device."""

    def hr_at(self, origin: Origin) -> Tensor:
        """The HR patches, [N, 3, size, size] in [0, 1]."""
        return self.hr.crop(origin, self.patch_px * self.scale, self.scale)

    def draw(self) -> Origin:
        """Origins of the next batch."""
        count = self.batch_size
        image = torch.randint(len(self.rows), (count,), generator=self.generator)
        position = torch.rand((2, count), generator=self.generator, dtype=torch.float64)
        augmentation = torch.randint(8, (count,), generator=self.generator)
        return Origin(
            image=image,
            top=(position[0] * self.rows[image]).long(),
            left=(position[1] * self.columns[image]).long(),
            augmentation=augmentation if self.augment else torch.zeros_like(augmentation),
        )

    def next_batch(self) -> Batch:
        """Draws origins, adds them to the digest, and cuts there, without a synchronisation with
        the host."""
        origin = self.draw()
        drawn = torch.stack(origin).numpy().tobytes() + b"views" * (self.views - 1)
        self.digest = hashlib.sha256(self.digest + drawn).digest()
        self.num_batches += 1
        if self.num_batches in self.marks:
            self.marked[self.num_batches] = self.digest
        return self.cut_part(Origin(*(x.to(self.device, non_blocking=True) for x in origin)))

    def cut_part(self, origin: Origin) -> Batch:
        """This process's part of the batch at `origin`."""
        return self.cut(Origin(*(x[self.part] for x in origin)))

    def new_generator(self, device: torch.device | str, stream: int) -> torch.Generator:
        """A generator that depends on the seed, the number of the batch and `stream` alone."""
        return torch.Generator(device).manual_seed(
            (1_000_003 * self.seed + 2 * self.num_batches + stream) % 2**63
        )

    def state(self) -> dict[str, Any]:
        marked = {str(count): digest.hex() for count, digest in self.marked.items()}
        return {
            "generator": self.generator.get_state(),
            "digest": self.digest.hex(),
            "num_batches": self.num_batches,
            "marked": marked,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        if "digest" in state:  # older checkpoints have none
            self.digest = bytes.fromhex(state["digest"])
            self.num_batches = state["num_batches"]
            self.marked = {
                int(count): bytes.fromhex(digest) for count, digest in state["marked"].items()
            }


class PairPatches(DrawnPatches):
    """Random patches of paired images that are resident on a device.

    Args:
        lr, hr: stacks of paired images, HR sizes `scale` times the LR's.
        scale, options, seed, marks, part: as for `DrawnPatches`.
    """

    def __init__(
        self,
        lr: ImageStack,
        hr: ImageStack,
        scale: Scale,
        options: PatchOptions,
        seed: int,
        marks: Sequence[int] = (),
        part: tuple[int, int] = (0, 1),
    ) -> None:
        super().__init__(hr, lr.sizes, scale, options, seed, marks, part)
        self.lr = self.lr_images = lr

    def cut(self, origin: Origin) -> Batch:
        lr = self.lr.crop(origin, self.patch_px)
        hr = self.hr_at(origin)
        if self.views == 1:
            return Batch(lr, hr, origin)
        # The generator depends on the batch alone, so that a resumed run draws the same views.
        generator = self.new_generator(self.device, JITTER_STREAM)
        return join_views([lr, jittered(lr, generator, self.device.type != "cpu")], hr, origin)
