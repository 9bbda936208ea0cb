"""Whole photographs through our reader and writer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ibsd.images import InMemory, PhotographHeader, open_photograph, write_photograph


def in_strips(pixels: np.ndarray, count: int = 7) -> Iterator[np.ndarray]:
    for top in range(0, len(pixels), count):
        yield pixels[top : top + count]


def header_of(pixels: np.ndarray, **others: object) -> PhotographHeader:
    height, width, channels = pixels.shape
    header = PhotographHeader(
        height, width, grey=channels < 3, alpha=channels in (2, 4), bits=8 * pixels.itemsize
    )
    return replace(header, **others)  # pyright: ignore


def in_memory(pixels: np.ndarray) -> InMemory:
    return InMemory(header_of(pixels), pixels)


def write(path: Path, pixels: np.ndarray, quality: int = 95, **others: object) -> None:
    write_photograph(path, header_of(pixels, **others), in_strips(pixels), quality=quality)


def read(path: Path) -> tuple[PhotographHeader, np.ndarray]:
    """All of a file, in uneven portions."""
    photograph = open_photograph(path)
    header = photograph.header
    rows = [photograph.read(min(5, header.height - top)) for top in range(0, header.height, 5)]
    return header, np.concatenate(rows)
