"""A large image through a network, tile by tile.

Every tile sees `overlap_px` pixels of context beyond the part that is kept of it, and the kept parts cover the image once. So a network
whose result at a pixel depends on at most `overlap_px` pixels around gives the same as on the whole image, up to float rounding; blending
would not have that law. All tiles have one size (the last ones are moved inwards), so that a network that pools over its input pools over
an equal area everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from ibsd.types import InputError, Scale


class Span(NamedTuple):
    """One tile along one axis, in LR pixels."""

    start: int
    """Where the tile begins."""
    kept_from: int
    """The part [kept_from, kept_to) of the image is taken from this tile."""
    kept_to: int


class Tile(NamedTuple):
    """One result: `sr` belongs at row `top`, column `left` of the SR image."""

    top: int
    left: int
    sr: Tensor
    """[N, 3, h, w], a view of what the network returned."""
    total: int
    """Tiles in all."""


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


def sr_tiles(student: Callable[[Tensor], Tensor], lr: Tensor, scale: Scale, tile_px: int, overlap_px: int) -> Iterator[Tile]:
    """The SR image of `lr` [N, 3, H, W] in pieces that cover it once; only one tile's activations are alive at a time."""
    height, width = lr.shape[-2:]
    rows, columns = spans(height, tile_px, overlap_px), spans(width, tile_px, overlap_px)
    for row in rows:
        for column in columns:
            part = lr[..., row.start : row.start + tile_px, column.start : column.start + tile_px]
            sr = student(part)
            expected = (lr.shape[0], 3, part.shape[-2] * scale, part.shape[-1] * scale)
            if tuple(sr.shape) != expected:
                raise InputError(
                    f"the student gave {tuple(sr.shape)} where scale {scale} needs {expected}: choose the scale it was made for."
                )
            inner_rows = slice((row.kept_from - row.start) * scale, (row.kept_to - row.start) * scale)
            inner_columns = slice((column.kept_from - column.start) * scale, (column.kept_to - column.start) * scale)
            yield Tile(row.kept_from * scale, column.kept_from * scale, sr[..., inner_rows, inner_columns], len(rows) * len(columns))


def tiled(student: Callable[[Tensor], Tensor], lr: Tensor, scale: Scale, tile_px: int, overlap_px: int) -> Tensor:
    """[N, 3, H, W] -> [N, 3, sH, sW], as `student(lr)` but with the activations of one tile only.

    Args:
        student: maps [N, 3, h, w] to [N, 3, s*h, s*w].
        lr: RGB, about [0, 1].
        scale: s.
        tile_px: side of a tile in LR pixels; an image no larger goes through in one piece.
        overlap_px: LR pixels of context on each inner side of a tile, cut off after; from the network's receptive field on the result
            equals the whole image's up to rounding, below it seams are possible.

    Gradients flow as they would through the student. InputError when a tile is not larger than its two overlaps.
    """
    height, width = lr.shape[-2:]
    assert min(height, width) > 0, f"{tuple(lr.shape)}"
    out: Tensor | None = None
    for top, left, sr, _ in sr_tiles(student, lr, scale, tile_px, overlap_px):
        if out is None:
            out = sr.new_empty(lr.shape[0], 3, height * scale, width * scale)
        out[..., top : top + sr.shape[-2], left : left + sr.shape[-1]] = sr
    assert out is not None
    return out
