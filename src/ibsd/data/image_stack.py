"""Training images decoded once into one flat buffer, from which a batch is one gather.

The buffer lies on the training device. If it does not fit, it is memory-mapped from a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ibsd.data.pairs import Pair, Size, fitted_size, load_pair
from ibsd.images import image_size
from ibsd.system import free_bytes
from ibsd.types import InputError, Origin


class ImageStack:
    """Many images of any sizes in one flat buffer, each stored as [3, H, W] in row-major order.

    Args:
        flat: 1-D buffer, uint8 (0 to 255) or floating (0 to 1), on any device.
        sizes: (height, width) of each image, in buffer order.
    """

    def __init__(self, flat: Tensor, sizes: Sequence[Size]) -> None:
        self.flat = flat
        self.sizes = list(sizes)
        ends = list(accumulate(map(num_values, self.sizes)))
        assert ends[-1] == flat.numel()
        self.offsets = torch.tensor([0, *ends[:-1]], device=flat.device)
        self.heights = torch.tensor([height for height, _ in self.sizes], device=flat.device)
        self.widths = torch.tensor([width for _, width in self.sizes], device=flat.device)

    @classmethod
    def from_arrays(
        cls, images: Iterable[np.ndarray], device: torch.device | str = "cpu"
    ) -> ImageStack:
        """The stack of images uint8 [H, W, 3]."""
        sizes: list[Size] = []
        parts: list[Tensor] = []
        for image in images:
            sizes.append((image.shape[0], image.shape[1]))
            parts.append(_planes(image))
        return cls(torch.cat(parts).to(device), sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def device(self) -> torch.device:
        return self.flat.device

    def image(self, index: int) -> Tensor:
        """The whole image, [1, 3, H, W] in [0, 1], fp32."""
        height, width = self.sizes[index]
        start = int(self.offsets[index])
        return as_unit(self.flat[start : start + 3 * height * width].view(1, 3, height, width))

    def crop(self, origin: Origin, size_px: int, scale: int = 1) -> Tensor:
        """Square patches, [N, 3, size_px, size_px] in [0, 1], fp32. `scale` multiplies the origin's
        top and left."""
        image, top, left, augmentation = (x.to(self.device).view(-1, 1, 1) for x in origin)
        # Position (row, column) of the patch shows (y, x) of the stored crop: undo the transpose,
        # then the mirrors.
        row = torch.arange(size_px, device=self.device).view(1, -1, 1)
        column = torch.arange(size_px, device=self.device).view(1, 1, -1)
        transposed = (augmentation & 4) > 0
        y = torch.where(transposed, column, row)
        x = torch.where(transposed, row, column)
        y = torch.where((augmentation & 2) > 0, size_px - 1 - y, y) + top * scale
        x = torch.where((augmentation & 1) > 0, size_px - 1 - x, x) + left * scale
        height = self.heights[image]
        width = self.widths[image]
        first_plane = self.offsets[image] + y * width + x
        channel = torch.arange(3, device=self.device).view(1, 3, 1, 1)
        index = first_plane.unsqueeze(1) + channel * (height * width).unsqueeze(1)
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


def num_values(size: Size) -> int:
    """Channel values of an RGB image."""
    return 3 * size[0] * size[1]


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
        cache_folder: where the memory-mapped files go. A later call uses them again while the
            pairs' names, sizes and times of change are the same.
        on_pair: called after each pair that was decoded.

    Errors: InputError if there are no pairs, if they do not fit and no cache folder is given, or if
    the cache cannot be written.
    """
    if not pairs:
        raise InputError("there are no training pairs; check the folders and data.select")
    lr_sizes = [image_size(pair.lr) for pair in pairs]
    hr_sizes = [
        fitted_size(size, image_size(pair.hr)) for pair, size in zip(pairs, lr_sizes, strict=True)
    ]
    sizes = lr_sizes, hr_sizes
    counts = sum(map(num_values, sizes[0])), sum(map(num_values, sizes[1]))
    limit = memory_limit_bytes
    if limit is None:
        limit = int(0.6 * free_memory_bytes(torch.device(device)))
    if sum(counts) <= limit:
        buffers = tuple(torch.empty(count, dtype=torch.uint8) for count in counts)
        _decode_into(buffers, pairs, on_pair)
        lr, hr = (buffer.to(device) for buffer in buffers)
    elif cache_folder is None:
        raise InputError(
            f"the training pairs need {sum(counts) / 2**20:,.0f} MiB, and the limit is "
            f"{limit / 2**20:,.0f} MiB; set data.cache to a folder, or raise data.memory_limit_mib"
        )
    else:
        lr, hr = _mapped_buffers(cache_folder, pairs, counts, on_pair)
    return ImageStack(lr, sizes[0]), ImageStack(hr, sizes[1])


def _decode_into(
    buffers: Sequence[Tensor], pairs: Sequence[Pair], on_pair: Callable[[], None] | None
) -> None:
    """Writes every decoded pair into the LR and the HR buffer."""
    positions = [0, 0]
    for pair in pairs:
        for side, pixels in enumerate(load_pair(pair)):
            planes = _planes(pixels)
            start = positions[side]
            stop = positions[side] + planes.numel()
            buffers[side][start:stop] = planes
            positions[side] = stop
        if on_pair:
            on_pair()


def _planes(image: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> flat [3 H W], one channel after the other."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).flatten()


def _mapped_buffers(
    folder: Path, pairs: Sequence[Pair], counts: tuple[int, int], on_pair: Callable[[], None] | None
) -> tuple[Tensor, Tensor]:
    """Memory-mapped LR and HR buffers, written once under a name that changes with the files."""
    versions = [
        [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]
        for pair in pairs
        for path in (pair.lr, pair.hr)
    ]
    key = hashlib.sha256(json.dumps(versions).encode()).hexdigest()[:16]
    paths = [folder / f"{key}.{side}.u8" for side in ("lr", "hr")]
    complete = all(
        path.is_file() and path.stat().st_size == count
        for path, count in zip(paths, counts, strict=True)
    )
    if not complete:
        partial = [path.with_suffix(f".{os.getpid()}.partial") for path in paths]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path, count in zip(partial, counts, strict=True):
                _reserve(path, count)
            buffers = [_mapped(path, count) for path, count in zip(partial, counts, strict=True)]
            _decode_into(buffers, pairs, on_pair)
            for written, path in zip(partial, paths, strict=True):
                os.replace(written, path)
        except OSError as error:
            raise InputError(
                f"{folder}: the copy of the training images could not be written "
                f"({error.strerror or error}); free some space, or set another data.cache"
            ) from error
        finally:
            for path in partial:
                if path.is_file():
                    path.unlink()
    lr, hr = (_mapped(path, count) for path, count in zip(paths, counts, strict=True))
    return lr, hr


def _reserve(path: Path, count: int) -> None:
    """Claims the space now. Writing to a mapped page that the disk has no room for is a SIGBUS,
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
    return free_bytes()
