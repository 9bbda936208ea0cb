"""What the page shows of a photograph of any size, whatever its format: one overview, and tiles at
full size for the loupe."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from ibsd.images import PhotographHeader

TILE_PX = 512
OVERVIEW_PX = 1600
"""Longest side of an overview at most."""
QUALITY = 90
UNDER_TRANSPARENCY = 236


class View:
    """Takes the rows of a photograph from the top down and writes `overview.jpg` and `R-C.jpg`,
    tiles by row and column, into a folder."""

    def __init__(self, folder: Path, header: PhotographHeader) -> None:
        folder.mkdir()
        self.folder, self.header = folder, header
        self.factor = max(1, math.ceil(max(header.height, header.width) / OVERVIEW_PX))
        self.row = 0
        self.rows = self.averaged = np.empty((0, header.width, 1 if header.grey else 3), np.uint8)
        self.overview: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """The next rows [n, width, channels] of the photograph's own depth."""
        shown = eight_bits(rows, self.header)
        self.rows = np.concatenate((self.rows, shown))
        while len(self.rows) >= TILE_PX:
            self._write_tiles(TILE_PX)
        self.averaged = np.concatenate((self.averaged, shown))
        whole = len(self.averaged) // self.factor * self.factor
        self._average(whole)

    def close(self) -> None:
        """After the last row."""
        if len(self.rows):
            self._write_tiles(len(self.rows))
        self._average(len(self.averaged))
        self._save(Image.fromarray(np.concatenate(self.overview)), "overview")

    def _write_tiles(self, count: int) -> None:
        for left in range(0, self.header.width, TILE_PX):
            self._save(
                self._image(self.rows[:count, left : left + TILE_PX]),
                f"{self.row}-{left // TILE_PX}",
            )
        self.rows, self.row = self.rows[count:], self.row + 1

    def _average(self, count: int) -> None:
        """Means over squares; those at the edges are of what there is."""
        if count:
            part = self._image(self.averaged[:count])
            self.overview.append(np.asarray(part.reduce(self.factor)))
            self.averaged = self.averaged[count:]

    def _image(self, pixels: np.ndarray) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if self.header.grey else pixels))

    def _save(self, image: Image.Image, name: str) -> None:
        image.save(
            self.folder / f"{name}.jpg", quality=QUALITY, subsampling=0, icc_profile=self.header.icc
        )


def eight_bits(rows: np.ndarray, header: PhotographHeader) -> np.ndarray:
    """As uint8 [n, width, 1 or 3]; what is transparent shows a light grey."""
    if header.bits > 8:
        rows = ((rows.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if not header.alpha:
        return rows
    opacity = rows[..., -1:].astype(np.float32) / 255
    return np.rint(rows[..., :-1] * opacity + UNDER_TRANSPARENCY * (1 - opacity)).astype(np.uint8)
