"""A large image through a network, tile by tile.

Every tile has `overlap_px` pixels of context around the part that is kept of it, and the kept parts
cover the image once. If a result depends on pixels at most `overlap_px` away, tiles give the same
as the whole image, up to float rounding.

All tiles have one size: the last ones are moved inwards. So a network that pools over its input
pools over an equal area everywhere. Its results for two neighbouring tiles differ where they meet,
and are blended within a band.
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
    """[kept_from, kept_to) of the image is taken from this tile."""
    kept_to: int


def spans(length: int, tile_px: int, overlap_px: int) -> list[Span]:
    """Tiles of min(tile_px, length) pixels whose kept parts cover [0, length) once, in order.

    InputError when a tile is not larger than its two overlaps.
    """
    if overlap_px < 0 or tile_px <= 2 * overlap_px:
        raise InputError(
            f"a tile of {tile_px} pixels leaves nothing between two overlaps of {overlap_px}: "
            "choose a larger tile."
        )
    tiles: list[Span] = []
    kept_to = 0
    while kept_to < length:
        kept_from = kept_to
        start = min(max(0, kept_from - overlap_px), max(0, length - tile_px))
        end = start + tile_px
        kept_to = length if end >= length else end - overlap_px
        tiles.append(Span(start, kept_from, kept_to))
    return tiles


class Mosaic:
    """Puts the results of tiles together. They come from left to right and from the top down.

    Two neighbours are blended linearly within `blend_px` LR pixels on either side of their border:
    at most the overlap, and at most half of the kept part. Where the two are equal the result
    equals them bit for bit. At 0 the border is sharp.

    Memory holds the bands that wait for their neighbour: [3, 2 blend_px s, sW] below a row of
    tiles, and one beside a tile.
    """

    def __init__(self, height: int, width: int, scale: Scale, blend_px: int) -> None:
        self.height = height
        self.width = width
        self.scale = scale
        self.blend_px = blend_px
        band = 2 * blend_px * scale
        centres = np.arange(band, dtype=np.float32) + np.float32(0.5)
        self.weight = centres / np.float32(max(band, 1))
        """Weight of the later tile along the band."""
        self.left_band = np.empty(0)
        self.upper_bands = np.empty((3, band, width * scale), np.float32)

    def finished(self, span: Span, length: int) -> slice:
        """LR pixels, of an image of `length`, that are final once the tile is added."""
        return slice(
            span.kept_from - self.blend_px if span.kept_from else 0,
            span.kept_to - self.blend_px if span.kept_to < length else length,
        )

    def add(self, sr: np.ndarray, row: Span, column: Span) -> np.ndarray:
        """The finished part of a tile's result [3, h, w], blended with the tiles before: a view, or
        an array of its own."""
        rows = self.finished(row, self.height)
        columns = self.finished(column, self.width)
        has_lower = row.kept_to < self.height
        has_right = column.kept_to < self.width
        band_px = 2 * self.blend_px
        with_bands = (
            slice(rows.start, rows.stop + has_lower * band_px),
            slice(columns.start, columns.stop + has_right * band_px),
        )
        part = crop(sr, *with_bands, row, column, self.scale)
        if not band_px:
            return part
        part = part.copy()
        band = band_px * self.scale
        if column.kept_from:
            _blend(self.left_band, part[:, :, :band], self.weight)
        if has_right:
            self.left_band = part[:, :, -band:]
            part = part[:, :, :-band]
        upper_band = self.upper_bands[:, :, columns.start * self.scale : columns.stop * self.scale]
        if row.kept_from:
            _blend(upper_band, part[:, :band], self.weight[:, None])
        if has_lower:
            upper_band[:] = part[:, -band:]
            part = part[:, :-band]
        return part


def _blend(earlier: np.ndarray, later: np.ndarray, weight: np.ndarray) -> None:
    """Changes `later` to earlier + weight (later - earlier)."""
    later -= earlier
    later *= weight
    later += earlier


def crop(
    sr: np.ndarray, rows: slice, columns: slice, row: Span, column: Span, scale: Scale
) -> np.ndarray:
    """The image's LR pixels `rows` and `columns` in the result [..., h, w] of a tile, as a view."""
    down = slice((rows.start - row.start) * scale, (rows.stop - row.start) * scale)
    across = slice((columns.start - column.start) * scale, (columns.stop - column.start) * scale)
    return sr[..., down, across]


def tiled(
    network: Network, lr: np.ndarray, scale: Scale, tile_px: int, overlap_px: int, blend_px: int = 0
) -> np.ndarray:
    """[1, 3, H, W] -> [1, 3, sH, sW], as `network(lr)` but with the activations of one tile only.

    Args:
        network: maps [1, 3, h, w] to [1, 3, s*h, s*w].
        lr: RGB, about [0, 1].
        scale: s.
        tile_px: side of a tile in LR pixels; an image no larger goes through in one piece.
        overlap_px: LR pixels of context on each inner side of a tile, cut off afterwards. From the
            network's receptive field on, the result equals the whole image's up to rounding. Below
            it seams are possible.
        blend_px: as `Mosaic`; for a network that pools over its input.

    InputError when a tile is not larger than its two overlaps, and when the network has another
    scale. `ibsd.upscaling.strips` does the same for photographs of any size.
    """
    height, width = lr.shape[-2:]
    assert min(height, width) > 0, f"{lr.shape}"
    out = np.empty((1, 3, height * scale, width * scale), lr.dtype)
    mosaic = Mosaic(height, width, scale, blend_px)
    whole = Span(0, 0, 0)
    for row in spans(height, tile_px, overlap_px):
        for column in spans(width, tile_px, overlap_px):
            part = lr[..., row.start : row.start + tile_px, column.start : column.start + tile_px]
            sr = network(part)
            expected = (1, 3, part.shape[-2] * scale, part.shape[-1] * scale)
            if sr.shape != expected:
                raise InputError(
                    f"the student gave {sr.shape} where scale {scale} needs {expected}: "
                    "choose the scale it was made for."
                )
            finished = (mosaic.finished(row, height), mosaic.finished(column, width))
            crop(out, *finished, whole, whole, scale)[0] = mosaic.add(sr[0], row, column)
    return out
