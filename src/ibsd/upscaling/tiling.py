"""A large image through a network, tile by tile.

Every tile sees `overlap_px` pixels of context beyond the part that is kept of it, and the kept parts cover the image once. So a network
whose result at a pixel depends on at most `overlap_px` pixels around gives the same as on the whole image, up to float rounding. All tiles
have one size (the last ones are moved inwards), so that a network that pools over its input pools over an equal area everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ibsd.types import InputError, Scale
from ibsd.upscaling.network import Network


class Span(NamedTuple):
    """One tile along one axis, in LR pixels."""

    start: int
    """Where the tile begins."""
    kept_from: int
    """The part [kept_from, kept_to) of the image is taken from this tile."""
    kept_to: int


def spans(length: int, tile_px: int, overlap_px: int) -> list[Span]:
    """Tiles of min(tile_px, length) pixels whose kept parts cover [0, length) once, in order.

    InputError when a tile is not larger than its two overlaps.
    """
    if overlap_px < 0 or tile_px <= 2 * overlap_px:
        raise InputError(f"a tile of {tile_px} pixels leaves nothing between two overlaps of {overlap_px}: choose a larger tile.")
    found: list[Span] = []
    kept_to = 0
    while kept_to < length:
        start = min(max(0, kept_to - overlap_px), max(0, length - tile_px))
        end = start + tile_px
        found.append(Span(start, kept_to, length if end >= length else end - overlap_px))
        kept_to = found[-1].kept_to
    return found


def inner(sr: np.ndarray, row: Span, column: Span, scale: Scale) -> np.ndarray:
    """Of the result [..., h, w] of a tile the part that is kept, as a view."""
    rows = slice((row.kept_from - row.start) * scale, (row.kept_to - row.start) * scale)
    columns = slice((column.kept_from - column.start) * scale, (column.kept_to - column.start) * scale)
    return sr[..., rows, columns]


def run_tile(network: Network, lr: np.ndarray, scale: Scale) -> np.ndarray:
    """[1, 3, h, w] -> [1, 3, sh, sw]. InputError when the network gives another shape."""
    sr = network(lr)
    expected = (1, 3, lr.shape[-2] * scale, lr.shape[-1] * scale)
    if tuple(sr.shape) != expected:
        raise InputError(f"the student gave {tuple(sr.shape)} where scale {scale} needs {expected}: choose the scale it was made for.")
    return sr


def tiled(network: Network, lr: np.ndarray, scale: Scale, tile_px: int, overlap_px: int) -> np.ndarray:
    """[1, 3, H, W] -> [1, 3, sH, sW], as `network(lr)` but with the activations of one tile only.

    Args:
        network: maps [1, 3, h, w] to [1, 3, s*h, s*w].
        lr: RGB, about [0, 1].
        scale: s.
        tile_px: side of a tile in LR pixels; an image no larger goes through in one piece.
        overlap_px: LR pixels of context on each inner side of a tile, cut off after; from the network's receptive field on the result
            equals the whole image's up to rounding, below it seams are possible.

    InputError when a tile is not larger than its two overlaps. `ibsd.upscaling.strips` does the same for photographs of any size.
    """
    height, width = lr.shape[-2:]
    assert min(height, width) > 0, f"{lr.shape}"
    out = np.empty((1, 3, height * scale, width * scale), lr.dtype)
    for row in spans(height, tile_px, overlap_px):
        for column in spans(width, tile_px, overlap_px):
            part = lr[..., row.start : row.start + tile_px, column.start : column.start + tile_px]
            inner(out, Span(0, row.kept_from, row.kept_to), Span(0, column.kept_from, column.kept_to), scale)[:] = inner(
                run_tile(network, part, scale), row, column, scale
            )
    return out
