"""A photograph of any size through a network: rows in, rows out, with one row of tiles in
memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from ibsd.images import Photograph
from ibsd.inference.network import Network
from ibsd.types import InputError
from ibsd.upscaling.alpha import GRID_PX, REACH_PX, bicubic_plane, fill_hidden
from ibsd.upscaling.tiling import Mosaic, inner, run_tile, spans

TileSize = int | Literal["auto", "whole"]
"""Side of a tile in LR pixels. "auto" is the network's own on every machine, so that no result
depends on memory; "whole" is no tiles."""

UNKNOWN_REACH_PX = 32
"""Overlap for networks that do not say how far they see."""
OPACITY_REACH_PX = 2
"""How far bicubic interpolation sees: the least overlap."""
SMALLEST_TILE_PX = 16
SMALLEST_PHOTOGRAPH_PX = 8
"""A photograph with a shorter side is continued by its edges up to this: zeros beyond the border,
which a network's convolutions see, would outweigh it. A single pixel through the shipped `imdn-x4`
came out 57 of 255 levels off (median of 12), continued so 0.2."""


class Tiles(NamedTuple):
    """How a photograph is cut, in LR pixels, as `tiled` takes it."""

    tile_px: int
    overlap_px: int
    blend_px: int


def tiles_for(tile: TileSize, network: Network) -> Tiles:
    """The overlap is how far the network sees. One that pools over its input is blended within two
    thirds of it, and so costs no further tiles: what lies nearer to a tile's edge, where the zeros
    beyond begin to show, gets no weight.

    InputError for an unknown word and for a tile that two overlaps and `SMALLEST_TILE_PX` do not
    fit into.
    """
    tile_px, overlap_px = _tile_and_overlap(
        tile, network.descriptor.receptive_field_px, network.descriptor.tile_px
    )
    if not network.descriptor.pools_globally:
        return Tiles(tile_px, overlap_px, 0)
    return Tiles(
        tile_px,
        overlap_px,
        min(2 * overlap_px // 3, overlap_px - OPACITY_REACH_PX, (tile_px - 2 * overlap_px) // 2),
    )


def _tile_and_overlap(tile: TileSize, reach: int | None, own_tile_px: int) -> tuple[int, int]:
    if reach is not None:
        reach = max(reach, OPACITY_REACH_PX)
    if tile == "whole":
        return 2**31, OPACITY_REACH_PX
    if tile == "auto":
        overlap = UNKNOWN_REACH_PX if reach is None else reach
        return max(own_tile_px, SMALLEST_TILE_PX + 2 * overlap), overlap
    if not isinstance(tile, int) or isinstance(tile, bool) or tile < SMALLEST_TILE_PX:
        raise InputError(
            f'tile is {tile!r}: choose "auto", "whole" or a number of pixels from {SMALLEST_TILE_PX}.'
        )
    if reach is None:
        return tile, min(UNKNOWN_REACH_PX, tile // 4)
    if tile < SMALLEST_TILE_PX + 2 * reach:
        raise InputError(
            f"tile is {tile!r}, and seams would show, because this network sees {reach} pixels far: choose {SMALLEST_TILE_PX + 2 * reach} or more."
        )
    return tile, reach


def upscaled_strips(
    photograph: Photograph,
    network: Network,
    tile: TileSize = "auto",
    on_tile: Callable[[int, int], None] | None = None,
) -> Iterator[np.ndarray]:
    """The result's rows from the top down, [n, sW, channels] of the photograph's own depth and
    channels, a row of tiles at a time.

    A grey photograph stays grey (mean of the result's channels). Opacity goes through bicubic
    interpolation; before the network sees the colours, those under fully transparent pixels are
    replaced from visible neighbours, so that they cannot bleed into the visible edge. Values are
    clamped and rounded, halves to even. `on_tile(done, all)` is called after each tile. InputError
    as `tiles_for` and `Photograph.read`, and when the network gives another shape than it should,
    or what is no number.
    """
    facts, scale = photograph.facts, network.scale
    tile_px, overlap_px, blend_px = tiles_for(tile, network)
    rows, columns = (
        spans(facts.height, tile_px, overlap_px),
        spans(facts.width, tile_px, overlap_px),
    )
    window, mosaic = _Window(photograph), Mosaic(facts.height, facts.width, scale, blend_px)
    done = 0
    for row in rows:
        height, down = min(tile_px, facts.height), mosaic.finished(row, facts.height)
        window.move(row.start, row.start + height)
        strip = np.empty(
            ((down.stop - down.start) * scale, facts.width * scale, facts.channels), facts.dtype
        )
        for column in columns:
            across = mosaic.finished(column, facts.width)
            lr, alpha = window.tile(row.start, column.start, height, min(tile_px, facts.width))
            sr = mosaic.add(_run(network, lr)[0], row, column)
            with np.errstate(over="ignore", invalid="ignore"):  # of weights that are broken
                total = float(sr.sum())
            if not math.isfinite(total):
                raise InputError(
                    "the student's result is not a number somewhere: its weights are damaged or its training diverged, load others."
                )
            target = strip[:, across.start * scale : across.stop * scale]
            colours = sr.mean(axis=0, keepdims=True) if facts.grey else sr
            target[..., : len(colours)] = _levels(colours, facts.bits).transpose(1, 2, 0)
            if alpha is not None:
                target[..., -1] = _levels(
                    inner(bicubic_plane(alpha, scale), down, across, row, column, scale), facts.bits
                )
            done += 1
            if on_tile:
                on_tile(done, len(rows) * len(columns))
        yield strip


def _run(network: Network, lr: np.ndarray) -> np.ndarray:
    """`run_tile`, with edges repeated around what is smaller than `SMALLEST_PHOTOGRAPH_PX`."""
    height, width = lr.shape[-2:]
    missing = [max(0, SMALLEST_PHOTOGRAPH_PX - length) for length in (height, width)]
    if not any(missing):
        return run_tile(network, lr, network.scale)
    top, left = (count // 2 for count in missing)
    around = ((0, 0), (0, 0), (top, missing[0] - top), (left, missing[1] - left))
    sr = run_tile(network, np.pad(lr, around, mode="edge"), network.scale)
    return sr[..., top * network.scale :, left * network.scale :][
        ..., : height * network.scale, : width * network.scale
    ]


def _levels(values: np.ndarray, bits: int) -> np.ndarray:
    """[0, 1] -> whole numbers as float32, clamped, rounded to even."""
    levels = values.clip(-1, 2) * np.float32(
        2**bits - 1
    )  # within what float32 holds; the ends are cut below
    np.rint(levels, out=levels)
    return np.clip(levels, 0, 2**bits - 1, out=levels)


class _Window:
    """The rows of a photograph that tiles still need."""

    def __init__(self, photograph: Photograph) -> None:
        self.photograph, self.facts = photograph, photograph.facts
        self.margin_px = REACH_PX if self.facts.alpha else 0
        self.first = self.end = 0
        self.rows = np.empty((0, self.facts.width, self.facts.channels), self.facts.dtype)

    def move(self, top: int, bottom: int) -> None:
        """Reads and forgets, so that all that the tiles of rows [top, bottom) need is there."""
        first, end = _aligned(top - self.margin_px), min(self.facts.height, bottom + self.margin_px)
        kept = self.rows[first - self.first :]
        self.rows = (
            np.concatenate((kept, self.photograph.read(end - self.end))) if end > self.end else kept
        )
        self.first, self.end = first, end

    def tile(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Colours [1, 3, height, width] and opacity [height, width] in [0, 1]; None for a
        photograph without."""
        part = self._part(top, left, height, width)
        if not self.facts.alpha:
            return self._colours(part), None
        alpha = part[..., -1].astype(np.float32) / np.float32(2**self.facts.bits - 1)
        if alpha.all():
            return self._colours(part), alpha
        above, before = _aligned(top - self.margin_px), _aligned(left - self.margin_px)
        around = self._part(
            above,
            before,
            top + height + self.margin_px - above,
            left + width + self.margin_px - before,
        )
        around = around.astype(np.float32) / np.float32(2**self.facts.bits - 1)
        filled = fill_hidden(around[..., :-1], around[..., -1])[top - above :, left - before :][
            :height, :width
        ]
        return _planes(filled), alpha

    def _part(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        return self.rows[top - self.first : top - self.first + height, left : left + width]

    def _colours(self, part: np.ndarray) -> np.ndarray:
        colours = part[..., :-1] if self.facts.alpha else part
        return _planes(colours) / np.float32(2**self.facts.bits - 1)


def _aligned(start: int) -> int:
    return max(0, start) // GRID_PX * GRID_PX


def _planes(colours: np.ndarray) -> np.ndarray:
    """[h, w, 1 or 3] -> contiguous float32 [1, 3, h, w]."""
    planes = colours.transpose(2, 0, 1)[None].astype(np.float32, order="C")
    return planes if planes.shape[1] == 3 else np.repeat(planes, 3, axis=1)
