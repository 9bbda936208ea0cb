"""A photograph through a network several times, with one row of tiles of each pass in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ibsd.images import Photograph, PhotographHeader
from ibsd.inference.network import Network
from ibsd.upscaling.strips import TileSize, upscaled_strips

READ_ROWS = 256


class UpscaledPhotograph:
    """The result of a pass, as a photograph that the next one reads."""

    def __init__(self, header: PhotographHeader, strips: Iterator[np.ndarray]) -> None:
        self.header = header
        self.strips = strips
        self.rows = np.empty((0, header.width, header.channels), header.dtype)

    def read(self, count: int) -> np.ndarray:
        """As `Photograph.read`."""
        parts = [self.rows]
        num_rows = len(self.rows)
        while num_rows < count:
            parts.append(next(self.strips))
            num_rows += len(parts[-1])
        rows = np.concatenate(parts)
        self.rows = rows[count:]
        return rows[:count]


class Enlarged(NamedTuple):
    """Rows from the top down, and the header of the photograph that they make."""

    header: PhotographHeader
    strips: Iterator[np.ndarray]


def enlarged(
    photograph: Photograph,
    network: Network,
    count: int,
    tile: TileSize = "auto",
    on_tile: Callable[[int, int], None] | None = None,
) -> Enlarged:
    """`upscaled_strips`, `count` times; 0 gives the photograph as it is. `on_tile` hears of the
    last pass, which takes nearly all the time."""
    for number in range(count):
        header = photograph.header.upscaled(network.scale)
        listener = on_tile if number == count - 1 else None
        strips = upscaled_strips(photograph, network, tile, listener)
        photograph = UpscaledPhotograph(header, strips)
    if isinstance(photograph, UpscaledPhotograph):
        return Enlarged(photograph.header, photograph.strips)
    return Enlarged(photograph.header, _rows(photograph))


def _rows(photograph: Photograph) -> Iterator[np.ndarray]:
    height = photograph.header.height
    for top in range(0, height, READ_ROWS):
        yield photograph.read(min(READ_ROWS, height - top))
