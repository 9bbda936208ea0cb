"""A large image through a network, tile by tile.

Every tile sees `overlap_px` pixels of context beyond the part that is kept of it, and the kept
parts cover the image once. So a network whose result at a pixel depends on at most `overlap_px`
pixels around gives the same as on the whole image, up to float rounding. All tiles have one size
(the last ones are moved inwards), so that a network that pools over its input pools over an equal
area everywhere; the results of two neighbours then differ, and go over into each other within a
band.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ibsd.inference.network import Network
from ibsd.types import InputError, Scale


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
        raise InputError(
            f"a tile of {tile_px} pixels leaves nothing between two overlaps of {overlap_px}: choose a larger tile."
        )
    found: list[Span] = []
    kept_to = 0
    while kept_to < length:
        start = min(max(0, kept_to - overlap_px), max(0, length - tile_px))
        end = start + tile_px
        found.append(Span(start, kept_to, length if end >= length else end - overlap_px))
        kept_to = found[-1].kept_to
    return found


class Mosaic:
    """Puts the results of tiles together, which come from left to right and from the top down.

    Where two tiles meet, the result goes over linearly from one to the other within `blend_px` LR
    pixels on either side of the border, so at most the overlap and half of what is kept of a tile.
    Where the two are equal it is equal to them, bit for bit. At 0 the border is sharp. In memory
    are the bands that wait for their neighbours: [3, 2 blend_px s, sW] below, and one beside a
    tile.
    """

    def __init__(self, height: int, width: int, scale: Scale, blend_px: int) -> None:
        self.height, self.width, self.scale, self.blend_px = height, width, scale, blend_px
        band = 2 * blend_px * scale
        self.share = (np.arange(band, dtype=np.float32) + np.float32(0.5)) / np.float32(
            max(band, 1)
        )
        """Of the later tile, along the band."""
        self.before = np.empty(0)
        self.above = np.empty((3, band, width * scale), np.float32)

    def finished(self, span: Span, length: int) -> slice:
        """LR pixels of an image of `length` that are whole once the tile is there."""
        return slice(
            span.kept_from and span.kept_from - self.blend_px,
            span.kept_to - self.blend_px if span.kept_to < length else length,
        )

    def add(self, sr: np.ndarray, row: Span, column: Span) -> np.ndarray:
        """Of the result [3, h, w] of a tile the part that is finished, blended with the tiles
        before: a view, or an array of its own."""
        rows, columns, band = (
            self.finished(row, self.height),
            self.finished(column, self.width),
            2 * self.blend_px,
        )
        lower, right = row.kept_to < self.height, column.kept_to < self.width
        part = inner(
            sr,
            slice(rows.start, rows.stop + lower * band),
            slice(columns.start, columns.stop + right * band),
            row,
            column,
            self.scale,
        )
        if not band:
            return part
        part, band = part.copy(), band * self.scale
        if column.kept_from:
            _go_over(self.before, part[:, :, :band], self.share)
        if right:
            self.before, part = part[:, :, -band:], part[:, :, :-band]
        above = self.above[:, :, columns.start * self.scale : columns.stop * self.scale]
        if row.kept_from:
            _go_over(above, part[:, :band], self.share[:, None])
        if lower:
            above[:], part = part[:, -band:], part[:, :-band]
        return part


def _go_over(earlier: np.ndarray, later: np.ndarray, share: np.ndarray) -> None:
    """Changes `later` to lie between the two."""
    later -= earlier
    later *= share
    later += earlier


def inner(
    sr: np.ndarray, rows: slice, columns: slice, row: Span, column: Span, scale: Scale
) -> np.ndarray:
    """Of the result [..., h, w] of a tile the LR pixels `rows` and `columns` of the image, as a
    view."""
    down, across = (
        slice((part.start - span.start) * scale, (part.stop - span.start) * scale)
        for part, span in ((rows, row), (columns, column))
    )
    return sr[..., down, across]


def run_tile(network: Network, lr: np.ndarray, scale: Scale) -> np.ndarray:
    """[1, 3, h, w] -> [1, 3, sh, sw]. InputError when the network gives another shape."""
    sr = network(lr)
    expected = (1, 3, lr.shape[-2] * scale, lr.shape[-1] * scale)
    if tuple(sr.shape) != expected:
        raise InputError(
            f"the student gave {tuple(sr.shape)} where scale {scale} needs {expected}: choose the scale it was made for."
        )
    return sr


def tiled(
    network: Network, lr: np.ndarray, scale: Scale, tile_px: int, overlap_px: int, blend_px: int = 0
) -> np.ndarray:
    """[1, 3, H, W] -> [1, 3, sH, sW], as `network(lr)` but with the activations of one tile only.

    Args:
        network: maps [1, 3, h, w] to [1, 3, s*h, s*w].
        lr: RGB, about [0, 1].
        scale: s.
        tile_px: side of a tile in LR pixels; an image no larger goes through in one piece.
        overlap_px: LR pixels of context on each inner side of a tile, cut off after; from the
            network's receptive field on the result equals the whole image's up to rounding, below
            it seams are possible.
        blend_px: as `Mosaic`; for a network that pools over its input.

    InputError when a tile is not larger than its two overlaps. `ibsd.upscaling.strips` does the
    same for photographs of any size.
    """
    height, width = lr.shape[-2:]
    assert min(height, width) > 0, f"{lr.shape}"
    out = np.empty((1, 3, height * scale, width * scale), lr.dtype)
    mosaic = Mosaic(height, width, scale, blend_px)
    image = Span(0, 0, 0)
    for row in spans(height, tile_px, overlap_px):
        for column in spans(width, tile_px, overlap_px):
            part = lr[..., row.start : row.start + tile_px, column.start : column.start + tile_px]
            target = inner(
                out,
                mosaic.finished(row, height),
                mosaic.finished(column, width),
                image,
                image,
                scale,
            )
            target[0] = mosaic.add(run_tile(network, part, scale)[0], row, column)
    return out
