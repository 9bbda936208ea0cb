"""A part of a photograph, upscaled before the whole: it shows in seconds whether the whole is worth
minutes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ibsd.app.previews import as_image, displayed, save_jpeg
from ibsd.images import InMemory, Photograph, PhotographHeader
from ibsd.upscaling.strips import Tiles, tiles_for, upscaled_strips
from ibsd.upscaling.tiling import spans

if TYPE_CHECKING:
    from ibsd.app.worker_process import Message
    from ibsd.inference.network import Network

READ_ROWS = 256


class Stretch(NamedTuple):
    """A tile along one side of a photograph, and the part of it that is shown, in pixels of the
    photograph."""

    start: int
    end: int
    shown_start: int
    shown_end: int

    @property
    def shown(self) -> slice:
        """Within the tile."""
        return slice(self.shown_start - self.start, self.shown_end - self.start)


def stretch(length: int, centre: float, tiles: Tiles) -> Stretch:
    """One tile of a side of `length` pixels around `centre` in [0, 1]. Its overlap is not shown,
    except at the photograph's own edges."""
    tile_px = min(tiles.tile_px, length)
    start = round(centre * length - tile_px / 2)
    start = min(max(start, 0), length - tile_px)
    end = start + tile_px
    shown_start = start + tiles.overlap_px if start else 0
    shown_end = end - tiles.overlap_px if end < length else end
    return Stretch(start, end, shown_start, shown_end)


def write_part(
    photograph: Photograph, network: Network, centre: tuple[float, float], folder: Path, name: str
) -> Message:
    """Upscales one tile around `centre`, (across, down) in [0, 1], and writes NAME-before.jpg and
    NAME-after.jpg.

    Returns where it lies as `box` [left, top, width, height] in pixels of the photograph, and the
    `seconds` that all tiles would take. InputError as `upscaled_strips`.
    """
    header = photograph.header
    tiles = tiles_for("auto", network)
    across = stretch(header.width, centre[0], tiles)
    down = stretch(header.height, centre[1], tiles)
    lr = _read(photograph, across, down)
    started = time.perf_counter()
    sr = np.concatenate(list(upscaled_strips(lr, network)))
    seconds = time.perf_counter() - started
    scale = network.scale
    folder.mkdir(exist_ok=True)
    _save(lr.pixels[down.shown, across.shown], header, folder / f"{name}-before.jpg")
    shown = (_scaled(down.shown, scale), _scaled(across.shown, scale))
    _save(sr[shown], header, folder / f"{name}-after.jpg")
    num_tiles = len(spans(header.height, *tiles[:2])) * len(spans(header.width, *tiles[:2]))
    width = across.shown_end - across.shown_start
    height = down.shown_end - down.shown_start
    return {
        "box": [across.shown_start, down.shown_start, width, height],
        "seconds": seconds * num_tiles,
    }


def _read(photograph: Photograph, across: Stretch, down: Stretch) -> InMemory:
    """The tile. Rows above it are read in pieces and dropped."""
    for top in range(0, down.start, READ_ROWS):
        photograph.read(min(READ_ROWS, down.start - top))
    rows = photograph.read(down.end - down.start)[:, across.start : across.end]
    header = photograph.header.resized(down.end - down.start, across.end - across.start)
    return InMemory(header, np.ascontiguousarray(rows))


def _scaled(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)


def _save(pixels: np.ndarray, header: PhotographHeader, file: Path) -> None:
    save_jpeg(as_image(displayed(pixels, header)), header, file)
