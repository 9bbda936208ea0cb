"""A photograph of any size through a network, with one row of tiles in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ibsd.images import Photograph
from ibsd.inference.network import Network
from ibsd.types import InputError
from ibsd.upscaling.alpha import bicubic_plane
from ibsd.upscaling.tiling import Mosaic, crop, spans
from ibsd.upscaling.window import Window

TileSize = int | Literal["auto", "none", "whole"]
"""Side of a tile in LR pixels. "auto" is the network's own, the same on every machine, so results
do not depend on memory. "none" and "whole" mean one tile."""

UNKNOWN_REACH_PX = 32
"""Overlap for networks that do not say how far they see."""
OPACITY_REACH_PX = 2
"""How far bicubic interpolation sees: the least overlap."""
SMALLEST_TILE_PX = 16
SMALLEST_PHOTOGRAPH_PX = 8
"""A photograph with a shorter side is extended by its edges to this. Otherwise the zeros beyond the
border, which convolutions see, outweigh it: a single pixel through the shipped `imdn-x4` came out
57 of 255 levels off (median of 12), extended 0.2."""


class Tiles(NamedTuple):
    """How a photograph is cut, in LR pixels, as `tiled` takes it."""

    tile_px: int
    overlap_px: int
    blend_px: int


def tiles_for(tile: TileSize, network: Network) -> Tiles:
    """The overlap is how far the network sees.

    Tiles of a network that pools over its input are blended within two thirds of the overlap, which
    costs no further tiles. Pixels nearer to a tile's edge, where the zeros beyond it begin to show,
    get no weight.

    InputError for an unknown word, and for a tile that is smaller than two overlaps and
    `SMALLEST_TILE_PX`.
    """
    descriptor = network.descriptor
    tile_px, overlap_px = _tile_and_overlap(tile, descriptor.receptive_field_px, descriptor.tile_px)
    if not descriptor.pools_globally:
        return Tiles(tile_px, overlap_px, 0)
    blend_px = min(
        2 * overlap_px // 3, overlap_px - OPACITY_REACH_PX, (tile_px - 2 * overlap_px) // 2
    )
    return Tiles(tile_px, overlap_px, blend_px)


def _tile_and_overlap(tile: TileSize, reach: int | None, own_tile_px: int) -> tuple[int, int]:
    if reach is not None:
        reach = max(reach, OPACITY_REACH_PX)
    if tile in ("none", "whole"):
        return 2**31, OPACITY_REACH_PX
    if tile == "auto":
        overlap = UNKNOWN_REACH_PX if reach is None else reach
        return max(own_tile_px, SMALLEST_TILE_PX + 2 * overlap), overlap
    if type(tile) is not int or tile < SMALLEST_TILE_PX:
        raise InputError(
            f'tile is {tile!r}: choose "auto", "none" or a number of pixels '
            f"from {SMALLEST_TILE_PX}."
        )
    if reach is None:
        return tile, min(UNKNOWN_REACH_PX, tile // 4)
    smallest = SMALLEST_TILE_PX + 2 * reach
    if tile < smallest:
        raise InputError(
            f"tile is {tile!r}, and seams would show, because this network sees {reach} pixels "
            f"far: choose {smallest} or more."
        )
    return tile, reach


def upscaled_strips(
    photograph: Photograph,
    network: Network,
    tile: TileSize = "auto",
    on_tile: Callable[[int, int], None] | None = None,
) -> Iterator[np.ndarray]:
    """The upscaled rows from the top down, [n, sW, channels] of the photograph's own depth and
    channels, one strip for each row of tiles.

    A grey photograph stays grey (mean of the result's channels). Opacity is interpolated by bicubic
    interpolation. Colours under fully transparent pixels are replaced from visible neighbours
    before the network sees them, so that they cannot bleed into the visible edge. Values are
    clamped and rounded, halves to even.

    Tiles of a row go through the network together, as many as it takes (`Network.tiles_a_call`).
    `on_tile(done, all)` is called after each tile. InputError as `tiles_for` and `Photograph.read`,
    and when the network's result has a wrong shape or is not finite.
    """
    header = photograph.header
    scale = network.scale
    tile_px, overlap_px, blend_px = tiles_for(tile, network)
    rows = spans(header.height, tile_px, overlap_px)
    columns = spans(header.width, tile_px, overlap_px)
    height, width = min(tile_px, header.height), min(tile_px, header.width)
    size = min(network.tiles_a_call, len(columns))
    groups = [columns[first : first + size] for first in range(0, len(columns), size)]
    window = Window(photograph)
    mosaic = Mosaic(header.height, header.width, scale, blend_px)
    num_done = 0
    for row in rows:
        window.move(row.start, row.start + height)
        down = mosaic.finished(row, header.height)
        shape = ((down.stop - down.start) * scale, header.width * scale, header.channels)
        strip = np.empty(shape, header.dtype)
        for group in groups:
            tiles = [window.tile(row.start, column.start, height, width) for column in group]
            results = _run(network, _of_size([lr for lr, _ in tiles], size))
            for column, (_, alpha), result in zip(group, tiles, results, strict=False):
                across = mosaic.finished(column, header.width)
                sr = mosaic.add(result, row, column)
                _check_finite(sr)
                target = strip[:, across.start * scale : across.stop * scale]
                colours = sr.mean(axis=0, keepdims=True) if header.grey else sr
                target[..., : len(colours)] = _levels(colours, header.bits).transpose(1, 2, 0)
                if alpha is not None:
                    opacity = crop(bicubic_plane(alpha, scale), down, across, row, column, scale)
                    target[..., -1] = _levels(opacity, header.bits)
                num_done += 1
                if on_tile:
                    on_tile(num_done, len(rows) * len(columns))
        yield strip


def _of_size(tiles: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Tiles [1, 3, h, w] as one batch [size, 3, h, w]. The last one is repeated where there are
    fewer: a GPU prepares itself for a shape, so all batches have one."""
    if size == 1:
        return tiles[0]
    return np.concatenate([*tiles, *[tiles[-1]] * (size - len(tiles))])


def _run(network: Network, lr: np.ndarray) -> np.ndarray:
    """The network's result, with edges repeated around what is below `SMALLEST_PHOTOGRAPH_PX`."""
    scale = network.scale
    height, width = lr.shape[-2:]
    extra_rows = max(0, SMALLEST_PHOTOGRAPH_PX - height)
    extra_columns = max(0, SMALLEST_PHOTOGRAPH_PX - width)
    if not extra_rows and not extra_columns:
        return network(lr)
    top = extra_rows // 2
    left = extra_columns // 2
    padding = ((0, 0), (0, 0), (top, extra_rows - top), (left, extra_columns - left))
    sr = network(np.pad(lr, padding, mode="edge"))
    return sr[..., top * scale : (top + height) * scale, left * scale : (left + width) * scale]


def _check_finite(sr: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(sr.sum())
    if not math.isfinite(total):
        raise InputError(
            "the student's result is not a number somewhere: its weights are damaged or its "
            "training diverged, load others."
        )


def _levels(values: np.ndarray, bits: int) -> np.ndarray:
    """[0, 1] -> whole numbers as float32, clamped, rounded to even."""
    largest = 2**bits - 1
    # The first clip keeps the products within float32; the second one sets the range.
    levels = values.clip(-1, 2) * np.float32(largest)
    np.rint(levels, out=levels)
    return np.clip(levels, 0, largest, out=levels)
