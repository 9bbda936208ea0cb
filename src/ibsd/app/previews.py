"""Previews of a photograph for the page: one overview, and tiles at full size for the loupe."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from ibsd.images import PhotographHeader, to_eight_bits

TILE_PX = 512
OVERVIEW_PX = 1600
"""Longest side of an overview at most."""
QUALITY = 90
UNDER_TRANSPARENCY = 236
"""Level of the grey behind transparent pixels."""


class Preview:
    """Takes the rows of a photograph from the top down. Writes `overview.jpg`, and tiles by row and
    column as `R-C.jpg`, into a new folder."""

    def __init__(self, folder: Path, header: PhotographHeader) -> None:
        folder.mkdir()
        self.folder = folder
        self.header = header
        self.shrink = max(1, math.ceil(max(header.height, header.width) / OVERVIEW_PX))
        """The overview is this many times smaller than the photograph."""
        no_rows = np.empty((0, header.width, 1 if header.grey else 3), np.uint8)
        self.tile_row = 0
        self.rows_for_tiles = no_rows
        self.rows_for_overview = no_rows
        self.overview: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """The next rows [n, width, channels] of the photograph's own depth."""
        shown = displayed(rows, self.header)
        self.rows_for_tiles = np.concatenate((self.rows_for_tiles, shown))
        while len(self.rows_for_tiles) >= TILE_PX:
            self._write_tiles(TILE_PX)
        self.rows_for_overview = np.concatenate((self.rows_for_overview, shown))
        self._shrink_rows(len(self.rows_for_overview) // self.shrink * self.shrink)

    def close(self) -> None:
        """After the last row."""
        if len(self.rows_for_tiles):
            self._write_tiles(len(self.rows_for_tiles))
        self._shrink_rows(len(self.rows_for_overview))
        self._save(Image.fromarray(np.concatenate(self.overview)), "overview")

    def _write_tiles(self, count: int) -> None:
        for left in range(0, self.header.width, TILE_PX):
            tile = as_image(self.rows_for_tiles[:count, left : left + TILE_PX])
            self._save(tile, f"{self.tile_row}-{left // TILE_PX}")
        self.rows_for_tiles = self.rows_for_tiles[count:]
        self.tile_row += 1

    def _shrink_rows(self, count: int) -> None:
        """Means over squares; at the edges, over the pixels that are there."""
        if count:
            part = as_image(self.rows_for_overview[:count])
            self.overview.append(np.asarray(part.reduce(self.shrink)))
            self.rows_for_overview = self.rows_for_overview[count:]

    def _save(self, image: Image.Image, name: str) -> None:
        save_jpeg(image, self.header, self.folder / f"{name}.jpg")


def as_image(pixels: np.ndarray) -> Image.Image:
    """uint8 [h, w, 1 or 3] as an image."""
    grey = pixels.shape[-1] == 1
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))


def save_jpeg(image: Image.Image, header: PhotographHeader, file: Path) -> None:
    """Writes a JPEG with the photograph's colour profile."""
    image.save(file, quality=QUALITY, subsampling=0, icc_profile=header.icc)


def displayed(rows: np.ndarray, header: PhotographHeader) -> np.ndarray:
    """[n, width, channels] -> uint8 [n, width, 1 or 3]. Transparent pixels show a light grey."""
    rows = to_eight_bits(rows)
    if not header.alpha:
        return rows
    opacity = rows[..., -1:].astype(np.float32) / 255
    return np.rint(rows[..., :-1] * opacity + UNDER_TRANSPARENCY * (1 - opacity)).astype(np.uint8)
