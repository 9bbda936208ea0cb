"""Photographs that do not fit into memory: crops of them, decoded once, in files that training
reads one after the other.

A folder of shards holds `00000.rgb`, `00001.rgb` and so on, and `shards.jsonl`. A shard is uint8
[crops, 3, crop_px, crop_px] and nothing else. The index has a line of settings, and then a line for
each shard as soon as it is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from ibsd.data.image_stack import ImageStack
from ibsd.system import write_whole
from ibsd.types import InputError

INDEX = "shards.jsonl"
CROP_MULTIPLE = 12
"""The side of a crop is a multiple of this, so that it serves every scale."""


@dataclass(frozen=True)
class Shard:
    """A line of the index."""

    number: int
    crops: int
    sha256: str
    crc32: int
    """Looked at whenever the shard is read, because it is quick."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Photographs without a crop, each with the reason."""

    def num_bytes(self, crop_px: int) -> int:
        return self.crops * 3 * crop_px**2


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.rgb"


def is_shards(folder: str | Path) -> bool:
    """Whether a folder holds shards, whole or not."""
    return (Path(folder) / INDEX).is_file()


def crops_of(pixels: np.ndarray, crop_px: int, most: int, draw: np.random.Generator) -> np.ndarray:
    """uint8 [H, W, 3] -> [crops, 3, crop_px, crop_px]: at most so many, at random places of a grid,
    so that none overlap. InputError if there is no room for one."""
    sides = pixels.shape[:2]
    rows, columns = (side // crop_px for side in sides)
    if not rows * columns:
        raise InputError(f"{sides[1]}x{sides[0]} pixels, and a crop has {crop_px}: too small")
    top, left = (int(draw.integers(side % crop_px + 1)) for side in sides)
    planes = pixels[top : top + rows * crop_px, left : left + columns * crop_px].transpose(2, 0, 1)
    grid = planes.reshape(3, rows, crop_px, columns, crop_px)
    cells = draw.permutation(rows * columns)[:most]
    return np.stack([grid[:, cell // columns, :, cell % columns] for cell in cells.tolist()])


def write_shard(folder: Path, number: int, crops: Iterable[np.ndarray]) -> Shard:
    """Writes what `crops_of` made of some photographs, whole or not at all. InputError if it cannot
    be written."""
    count, digest, check = 0, hashlib.sha256(), 0

    def write(file: IO[bytes]) -> None:
        nonlocal count, check
        for some in crops:
            content = np.ascontiguousarray(some).data
            count += len(some)
            digest.update(content)
            check = crc32(content, check)
            file.write(content)

    write_whole(shard_path(folder, number), write)
    return Shard(number, count, digest.hexdigest(), check)


def read_index(folder: Path) -> tuple[dict[str, Any], dict[int, Shard]]:
    """The settings, and the shards that are written, by number. A last line that is not whole is
    left out. InputError for what is no index."""
    path = folder / INDEX
    try:
        head, *lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        settings = dict[str, Any](json.loads(head))
        shards = [Shard(**json.loads(line)) for line in lines]
        assert settings["crop_px"] % CROP_MULTIPLE == 0
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): name a folder of ibsd data shard"
        ) from error
    except (ValueError, TypeError, KeyError, AssertionError):
        raise InputError(f"{path} is damaged: make the shards anew with --force") from None
    return settings, {shard.number: shard for shard in shards}


@dataclass(frozen=True)
class Shards:
    """A whole folder of shards."""

    folder: Path
    crop_px: int
    shards: tuple[Shard, ...]
    """Those that hold crops."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of all crops, in order."""
        digests = [f"{self.crop_px}", *(shard.sha256 for shard in self.shards)]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def read(self, place: int) -> Tensor:
        """The shard at a place of `shards`, flat. InputError if it is damaged."""
        shard = self.shards[place]
        path = shard_path(self.folder, shard.number)
        content = np.empty(shard.num_bytes(self.crop_px), np.uint8)
        try:
            with open(path, "rb") as file:
                whole = file.readinto(content.data) == len(content) and not file.read(1)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): {_AGAIN}") from error
        if not whole or crc32(content.data) != shard.crc32:
            raise InputError(f"{path} is damaged: {_AGAIN}")
        return torch.from_numpy(content)

    def stack(self, place: int, flat: Tensor) -> ImageStack:
        """What `read` gave, on any device, as images."""
        return ImageStack(flat, [(self.crop_px, self.crop_px)] * self.shards[place].crops)


_AGAIN = "remove it, and run the ibsd data shard again that made it"


def open_shards(folder: str | Path) -> Shards:
    """InputError if some are missing or have another size. Their content is not read."""
    folder = Path(folder)
    settings, shards = read_index(folder)
    crop_px = settings["crop_px"]
    if missing := missing_shards(folder, settings, shards):
        raise InputError(
            f"{folder} lacks {len(missing)} of {settings['shards']} shards, such as "
            f"{shard_path(folder, missing[0]).name}: run the ibsd data shard again that made it"
        )
    filled = tuple(shards[number] for number in sorted(shards) if shards[number].crops)
    if not filled:
        raise InputError(f"{folder} holds no crops: make shards of other photographs")
    return Shards(folder, crop_px, filled)


def missing_shards(
    folder: Path, settings: Mapping[str, Any], shards: Mapping[int, Shard]
) -> list[int]:
    """Numbers without a line, or without a file of the right size."""

    def is_there(number: int) -> bool:
        path = shard_path(folder, number)
        expected = shards[number].num_bytes(settings["crop_px"]) if number in shards else -1
        return path.is_file() and path.stat().st_size == expected

    return [number for number in range(settings["shards"]) if not is_there(number)]
