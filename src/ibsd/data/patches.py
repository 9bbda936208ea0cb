"""Training patches cut on the device where training runs, so that a step never waits for a loader.

Images are decoded once into one flat buffer of bytes (memory-mapped if it does not fit), and a
batch is one gather: crop, mirror and transpose are arithmetic on the indices.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ibsd.data.pairs import Pair, load_pair
from ibsd.types import Batch, InputError, Origin, Scale


class ImageStack:
    """Many images of any sizes in one flat buffer, as stored in row-major [3, H, W] order.

    Args:
        flat: 1-D buffer, uint8 (0 to 255) or floating (0 to 1), on any device.
        sizes: (height, width) of each image, in buffer order.
    """

    def __init__(self, flat: Tensor, sizes: Sequence[tuple[int, int]]) -> None:
        self.flat = flat
        self.sizes = [tuple(size) for size in sizes]
        counts = torch.tensor([3 * height * width for height, width in self.sizes])
        assert int(counts.sum()) == flat.numel()
        self.offsets = (counts.cumsum(0) - counts).to(flat.device)
        self.heights, self.widths = (
            torch.tensor(side, device=flat.device) for side in zip(*self.sizes, strict=True)
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def image(self, index: int) -> Tensor:
        """The whole image, [1, 3, H, W] in [0, 1], fp32."""
        height, width = self.sizes[index]
        start = int(self.offsets[index])
        return as_unit(self.flat[start : start + 3 * height * width].view(1, 3, height, width))

    def crop(self, origin: Origin, size_px: int, scale: int = 1) -> Tensor:
        """Square patches, [N, 3, size_px, size_px] in [0, 1], fp32; `scale` multiplies the origin's
        top and left."""
        device = self.flat.device
        image, top, left, augmentation = (x.to(device).view(-1, 1, 1) for x in origin)
        # Position (row, column) of the patch takes what stands at (y, x) of the stored crop: undo
        # the transpose, then the mirrors.
        row = torch.arange(size_px, device=device).view(1, -1, 1)
        column = torch.arange(size_px, device=device).view(1, 1, -1)
        transposed = (augmentation & 4) > 0
        y, x = torch.where(transposed, column, row), torch.where(transposed, row, column)
        y = torch.where((augmentation & 2) > 0, size_px - 1 - y, y) + top * scale
        x = torch.where((augmentation & 1) > 0, size_px - 1 - x, x) + left * scale
        height, width = self.heights[image], self.widths[image]
        channel = torch.arange(3, device=device).view(1, 3, 1, 1)
        index = (self.offsets[image] + y * width + x).unsqueeze(1) + channel * (
            height * width
        ).unsqueeze(1)
        return as_unit(self.flat[index])


def as_unit(values: Tensor) -> Tensor:
    """Bytes to fp32 in [0, 1]; floating values widened to fp32."""
    return values.float() / 255 if values.dtype == torch.uint8 else values.float()


def augment(image: Tensor, augmentation: int) -> Tensor:
    """The same mirror and transpose as `ImageStack.crop` applies, on [..., H, W]."""
    if augmentation & 1:
        image = image.flip(-1)
    if augmentation & 2:
        image = image.flip(-2)
    return image.transpose(-1, -2) if augmentation & 4 else image


class PatchSource:
    """Endless random batches of paired patches from images resident on a device.

    Args:
        lr, hr: stacks of paired images, HR sizes `scale` times the LR's.
        scale: 2, 3 or 4.
        patch_px: LR side of a patch.
        batch_size: patches a batch.
        seed: of this source's own generator; nothing else draws from it, so objectives cannot
            disturb the order of the data.
        augment: random mirrors and transposes (the eight symmetries of the square).
        part: (k, n): every batch is drawn whole, and of n equal parts the k-th, counted from 0, is
            cut; so n processes train on what one would.
        marks: numbers of batches at which `digest` is kept, in `marked`.

    `next_batch` costs no synchronisation with the host. `state` and `load_state` carry the
    generator and the digests, for exact resumes.
    """

    digest: bytes
    """SHA-256 chained over the origins of all batches so far: equal for two runs that cut the same
    patches in the same order."""
    marked: dict[int, bytes]
    """`digest` as it was after so many batches, for each of `marks` that was reached."""

    def __init__(
        self,
        lr: ImageStack,
        hr: ImageStack,
        scale: Scale,
        patch_px: int,
        batch_size: int,
        seed: int,
        augment: bool = True,
        marks: Sequence[int] = (),
        part: tuple[int, int] = (0, 1),
    ) -> None:
        small = [index for index, size in enumerate(lr.sizes) if min(size) < patch_px]
        if small:
            raise InputError(
                f"{len(small)} training images are smaller than a patch of {patch_px} px; lower data.patch_px or remove them"
            )
        if batch_size % part[1]:
            raise InputError(
                f"data.batch_size is {batch_size}, which {part[1]} processes cannot share equally; make it a multiple of {part[1]}"
            )
        assert hr.sizes == [(scale * height, scale * width) for height, width in lr.sizes], (
            "check_pairs comes first"
        )
        self.lr, self.hr, self.scale, self.patch_px, self.batch_size, self.augment = (
            lr,
            hr,
            scale,
            patch_px,
            batch_size,
            augment,
        )
        self.generator = torch.Generator().manual_seed(
            seed
        )  # on the host: the same patches on every kind of device
        self.rows = torch.tensor([size[0] - patch_px + 1 for size in lr.sizes])
        self.columns = torch.tensor([size[1] - patch_px + 1 for size in lr.sizes])
        self.digest, self.num_batches = bytes(hashlib.sha256().digest_size), 0
        self.marks, self.marked = tuple(marks), {}
        number, parts = part
        self.part = slice(number * batch_size // parts, (number + 1) * batch_size // parts)

    @property
    def device(self) -> torch.device:
        return self.lr.flat.device

    def draw(self) -> Origin:
        """Origins of the next batch: images uniformly with replacement, positions uniformly within
        each."""
        image = torch.randint(len(self.lr), (self.batch_size,), generator=self.generator)
        where = torch.rand((2, self.batch_size), generator=self.generator, dtype=torch.float64)
        augmentation = torch.randint(8, (self.batch_size,), generator=self.generator)
        return Origin(
            image=image,
            top=(where[0] * self.rows[image]).long(),
            left=(where[1] * self.columns[image]).long(),
            augmentation=augmentation if self.augment else torch.zeros_like(augmentation),
        )

    def next_batch(self) -> Batch:
        """Draws origins, notes them in the digest, and cuts there."""
        origin = self.draw()
        self.digest = hashlib.sha256(self.digest + torch.stack(origin).numpy().tobytes()).digest()
        self.num_batches += 1
        if self.num_batches in self.marks:
            self.marked[self.num_batches] = self.digest
        return self.cut(Origin(*(x[self.part] for x in origin)))

    def cut(self, origin: Origin) -> Batch:
        """The patches at `origin`."""
        origin = Origin(*(x.to(self.device, non_blocking=True) for x in origin))
        return Batch(
            self.lr.crop(origin, self.patch_px),
            self.hr.crop(origin, self.patch_px * self.scale, self.scale),
            origin,
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
        if "digest" in state:  # checkpoints of before have none
            self.digest, self.num_batches = bytes.fromhex(state["digest"]), state["num_batches"]
            self.marked = {
                int(count): bytes.fromhex(digest) for count, digest in state["marked"].items()
            }


def resident_stacks(
    pairs: Sequence[Pair],
    device: torch.device | str = "cpu",
    memory_limit_bytes: int | None = None,
    cache_folder: Path | None = None,
    on_pair: Callable[[], None] | None = None,
) -> tuple[ImageStack, ImageStack]:
    """All pairs decoded once: (LR stack, HR stack) on `device`, or memory-mapped on the CPU when
    they exceed `memory_limit_bytes`.

    Args:
        memory_limit_bytes: most that may be resident; default 60 % of the free memory of the
            device.
        cache_folder: where the memory-mapped files go; they are found again by the pairs' names,
            sizes and times of change.

    Errors: InputError if there are none, if they do not fit and no cache folder is given, or if the
    cache cannot be written.
    """
    from ibsd.images.rgb import image_size

    if not pairs:
        raise InputError("there are no training pairs; check the folders and data.select")
    sizes = {side: [image_size(getattr(pair, side)) for pair in pairs] for side in ("lr", "hr")}
    count = {side: sum(3 * height * width for height, width in sizes[side]) for side in sizes}
    needed = sum(count.values())
    limit = (
        memory_limit_bytes
        if memory_limit_bytes is not None
        else int(0.6 * free_memory_bytes(torch.device(device)))
    )
    if needed <= limit:
        flat = {side: torch.empty(count[side], dtype=torch.uint8) for side in sizes}
        fill(flat, pairs, on_pair)
        lr, hr = (ImageStack(flat[side].to(device), sizes[side]) for side in ("lr", "hr"))
        return lr, hr
    if cache_folder is None:
        raise InputError(
            f"the {len(pairs)} training pairs need {needed / 2**20:,.0f} MiB and {limit / 2**20:,.0f} MiB may be used; "
            "set data.cache to a folder for a memory-mapped copy, or raise data.memory_limit_mib"
        )
    flat = map_cache(cache_folder, pairs, count, on_pair)
    lr, hr = (ImageStack(flat[side], sizes[side]) for side in ("lr", "hr"))
    return lr, hr


def fill(
    flat: dict[str, Tensor], pairs: Sequence[Pair], on_pair: Callable[[], None] | None = None
) -> None:
    """Writes every decoded pair into the flat buffers."""
    position = dict.fromkeys(flat, 0)
    for pair in pairs:
        for side, pixels in zip(("lr", "hr"), load_pair(pair), strict=True):
            planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).flatten()
            flat[side][position[side] : position[side] + planes.numel()] = planes
            position[side] += planes.numel()
        if on_pair:
            on_pair()


def map_cache(
    folder: Path, pairs: Sequence[Pair], count: dict[str, int], on_pair: Callable[[], None] | None
) -> dict[str, Tensor]:
    """Memory-mapped flat buffers, written once under a name that changes with the files."""
    facts = [
        [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]
        for pair in pairs
        for path in (pair.lr, pair.hr)
    ]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    paths = {side: folder / f"{key}.{side}.u8" for side in count}
    if not all(
        path.is_file() and path.stat().st_size == count[side] for side, path in paths.items()
    ):
        partial = {
            side: path.with_suffix(f".{os.getpid()}.partial") for side, path in paths.items()
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for side, path in partial.items():
                _reserve(path, count[side])
            fill(
                {side: _mapped(path, count[side]) for side, path in partial.items()}, pairs, on_pair
            )
            for side, path in partial.items():
                os.replace(path, paths[side])
        except OSError as error:
            raise InputError(
                f"{folder}: the memory-mapped copy of the training images could not be written ({error.strerror or error}); "
                "free some space or set data.cache to another folder"
            ) from error
        finally:
            for path in partial.values():
                if path.is_file():
                    path.unlink()
    return {side: _mapped(path, count[side]) for side, path in paths.items()}


def _reserve(path: Path, count: int) -> None:
    """Claims the space now: writing to a mapped page that the disk has no room for is a SIGBUS,
    which kills the process."""
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, count)
        else:
            file.truncate(count)


def _mapped(path: Path, count: int) -> Tensor:
    return torch.from_file(str(path), shared=True, size=count, dtype=torch.uint8)


def free_memory_bytes(device: torch.device) -> int:
    """Memory that can still be allocated on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    with suppress(OSError, StopIteration):  # Linux counts what caches would give back
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(
            next(line.split()[1] for line in lines if line.startswith("MemAvailable"))
        )
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
