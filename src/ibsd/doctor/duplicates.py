"""Near duplicates: the same picture in another size, format, brightness or orientation, found by a
perceptual hash.

The hash is pHash: the signs of the 8 x 8 lowest frequencies of a 32 x 32 thumbnail about their
median (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010). The hash
proposes and the thumbnails' correlation decides, because plain skies share a hash. Another crop of
the same photograph is not recognised.
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
"""Bits of 63 that may differ between a picture and its duplicate."""
LEAST_CORRELATION = 0.95
"""Least correlation of the thumbnails of a picture and its duplicate."""
LEAST_CONTRAST = 2.0
"""Standard deviation of a thumbnail, in grey levels of 255, below which it has no hash."""
_ORIENTATIONS = 8


class PerceptualHash(NamedTuple):
    """What is compared of a picture."""

    thumbnail: np.ndarray
    """float32 [32, 32], mean 0 and norm 1; zeros for a picture without contrast."""
    bits: np.ndarray
    """uint64 [8], the hash of the picture in each orientation; zeros without contrast."""


def perceptual_hash(image: np.ndarray) -> PerceptualHash:
    """Hash of an image uint8 [H, W, 3]."""
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    grey = Image.fromarray(image).convert("L").resize(size, Image.Resampling.BOX)
    thumbnail = np.asarray(grey, np.float32)
    if thumbnail.std() < LEAST_CONTRAST:
        return PerceptualHash(np.zeros_like(thumbnail), np.zeros(_ORIENTATIONS, np.uint64))
    thumbnail = thumbnail - thumbnail.mean()
    thumbnail /= np.linalg.norm(thumbnail)
    bits = [_hash_bits(oriented(thumbnail, k)) for k in range(_ORIENTATIONS)]
    return PerceptualHash(thumbnail, np.array(bits, np.uint64))


def oriented(image: np.ndarray, orientation: int) -> np.ndarray:
    """[H, W] in one of 8 orientations: bit 0 mirrors left and right, bit 1 up and down, bit 2,
    applied last, swaps rows and columns."""
    image = image[:, ::-1] if orientation & 1 else image
    image = image[::-1] if orientation & 2 else image
    return image.T if orientation & 4 else image


def near_duplicates(hashes: Sequence[PerceptualHash]) -> list[tuple[int, int]]:
    """Pairs of indices (earlier, later) that show the same, each later one with its earliest
    original.

    Every picture is compared with all before it: n^2 / 2 hashes in all, several million a second.
    """
    if not hashes:
        return []
    upright = np.array([picture.bits[0] for picture in hashes])
    matches: list[tuple[int, int]] = []
    for later, picture in enumerate(hashes):
        if not picture.bits.any():
            continue
        for orientation, bits in enumerate(picture.bits):
            turned = oriented(picture.thumbnail, orientation)
            candidates = np.flatnonzero(_num_bits(upright[:later] ^ bits) <= MOST_BITS).tolist()
            original = next((k for k in candidates if _correlate(hashes[k], turned)), None)
            if original is not None:
                matches.append((original, later))
                break
    return matches


def _correlate(picture: PerceptualHash, thumbnail: np.ndarray) -> bool:
    return float((picture.thumbnail * thumbnail).sum()) >= LEAST_CORRELATION


def _hash_bits(thumbnail: np.ndarray) -> int:
    """63 bits of a [32, 32]: which of the lowest frequencies, the mean left out, lie above their
    median."""
    frequencies = (_COSINES @ thumbnail @ _COSINES.T).flatten()[1:]
    bits = frequencies > np.median(frequencies)
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _num_bits(numbers: np.ndarray) -> np.ndarray:
    """Number of bits that are set in each of uint64 [n]."""
    if hasattr(np, "bitwise_count"):  # numpy 2, eight times as fast
        return np.bitwise_count(numbers)
    return np.unpackbits(numbers.view(np.uint8).reshape(len(numbers), 8), axis=1).sum(1)


def _cosine_transform() -> np.ndarray:
    """The first rows of the DCT-II of 32 samples, float32 [8, 32]."""
    row, column = np.mgrid[:HASH_PX, :THUMBNAIL_PX]
    return np.cos(math.pi * row * (2 * column + 1) / (2 * THUMBNAIL_PX)).astype(np.float32)


_COSINES = _cosine_transform()
