"""Pictures that show the same: copies in another size, format, brightness or orientation, found by
a perceptual hash.

The hash is that of pHash: the signs of the 8 x 8 lowest frequencies of a 32 x 32 thumbnail about
their median (Zauner, 2010). It proposes; the thumbnails' correlation decides, because plain skies
share a hash. Another crop of the same photograph is not recognised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

THUMBNAIL_PX = 32
HASH_PX = 8
MOST_BITS = 10
"""Of 63 that may differ between a picture and its copy."""
LEAST_CORRELATION = 0.95
"""Of the thumbnails of a picture and its copy."""
LEAST_CONTRAST = 2.0
"""Standard deviation of a thumbnail, in grey levels of 255, below which it says nothing."""
_ORIENTATIONS = 8


class Likeness(NamedTuple):
    """What is compared of a picture."""

    thumbnail: np.ndarray
    """float32 [32, 32], mean 0 and norm 1; zeros for a picture without contrast."""
    hashes: np.ndarray
    """uint64 [8], of the picture in each orientation."""


def likeness(image: np.ndarray) -> Likeness:
    """Of an image uint8 [H, W, 3]."""
    grey = (
        Image.fromarray(image)
        .convert("L")
        .resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    )
    thumbnail = np.asarray(grey, np.float32)
    if thumbnail.std() < LEAST_CONTRAST:
        return Likeness(np.zeros_like(thumbnail), np.zeros(_ORIENTATIONS, np.uint64))
    thumbnail = thumbnail - thumbnail.mean()
    thumbnail /= np.linalg.norm(thumbnail)
    return Likeness(
        thumbnail,
        np.array(
            [perceptual_hash(oriented(thumbnail, each)) for each in range(_ORIENTATIONS)], np.uint64
        ),
    )


def oriented(image: np.ndarray, orientation: int) -> np.ndarray:
    """[H, W], 0 to 7: bit 0 mirrors left and right, bit 1 up and down, bit 2, applied last, swaps
    rows and columns."""
    image = image[:, ::-1] if orientation & 1 else image
    image = image[::-1] if orientation & 2 else image
    return image.T if orientation & 4 else image


def perceptual_hash(thumbnail: np.ndarray) -> int:
    """63 bits of a [32, 32]: which of the lowest frequencies, the mean left out, lie above their
    median."""
    frequencies = (_COSINES @ thumbnail @ _COSINES.T).flatten()[1:]
    bits = frequencies > np.median(frequencies)
    return int("".join("1" if bit else "0" for bit in bits), 2)


def copies(pictures: Sequence[Likeness]) -> list[tuple[int, int]]:
    """Pairs of indices (earlier, later) that show the same, each later one with its earliest
    original.

    Every picture is compared with all before it, n^2 / 2 hashes in all, several million a second.
    """
    if not pictures:
        return []
    upright = np.array([each.hashes[0] for each in pictures])
    found = []
    for later, picture in enumerate(pictures):
        if not picture.hashes.any():
            continue
        for orientation, mark in enumerate(picture.hashes):
            near = np.flatnonzero(_num_bits(upright[:later] ^ mark) <= MOST_BITS)
            turned = oriented(picture.thumbnail, orientation)
            alike = (
                int(each)
                for each in near
                if float((pictures[int(each)].thumbnail * turned).sum()) >= LEAST_CORRELATION
            )
            if (original := next(alike, None)) is not None:
                found.append((original, later))
                break
    return found


def _num_bits(numbers: np.ndarray) -> np.ndarray:
    """Bits that are set in each of uint64 [n]."""
    if hasattr(np, "bitwise_count"):  # numpy 2, eight times as fast
        return np.bitwise_count(numbers)
    return np.unpackbits(numbers.view(np.uint8).reshape(len(numbers), 8), axis=1).sum(1)


def _cosine_transform() -> np.ndarray:
    """The first rows of the DCT-II of 32 samples, float32 [8, 32]."""
    row, column = np.mgrid[:HASH_PX, :THUMBNAIL_PX]
    return np.cos(math.pi * row * (2 * column + 1) / (2 * THUMBNAIL_PX)).astype(np.float32)


_COSINES = _cosine_transform()
