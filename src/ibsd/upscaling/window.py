"""The rows of a photograph that tiles still need, and their pixels as a network takes them."""

from __future__ import annotations

import numpy as np

from ibsd.images import Photograph
from ibsd.upscaling.alpha import GRID_PX, REACH_PX, fill_hidden


class Window:
    """A window of rows that moves down a photograph."""

    def __init__(self, photograph: Photograph) -> None:
        header = photograph.header
        self.photograph = photograph
        self.header = header
        self.margin_px = REACH_PX if header.alpha else 0
        """Pixels around a tile that the filling of hidden colours depends on."""
        self.largest = np.float32(2**header.bits - 1)
        self.first = 0
        self.end = 0
        self.rows = np.empty((0, header.width, header.channels), header.dtype)

    def move(self, top: int, bottom: int) -> None:
        """Read on and forget, so that the window holds what tiles of rows [top, bottom) need."""
        first = _aligned(top - self.margin_px)
        end = min(self.header.height, bottom + self.margin_px)
        rows = self.rows[first - self.first :]
        if end > self.end:
            rows = np.concatenate((rows, self.photograph.read(end - self.end)))
        self.rows = rows
        self.first = first
        self.end = end

    def tile(
        self, top: int, left: int, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Colours [1, 3, height, width] and opacity [height, width], float32 in [0, 1]. Opacity is
        None for a photograph without alpha."""
        pixels = self._pixels(top, left, height, width)
        if not self.header.alpha:
            return self._colours(pixels), None
        alpha = pixels[..., -1].astype(np.float32) / self.largest
        if alpha.all():
            return self._colours(pixels[..., :-1]), alpha
        outer_top = _aligned(top - self.margin_px)
        outer_left = _aligned(left - self.margin_px)
        outer_height = top + height + self.margin_px - outer_top
        outer_width = left + width + self.margin_px - outer_left
        outer = self._pixels(outer_top, outer_left, outer_height, outer_width)
        outer = outer.astype(np.float32) / self.largest
        filled = fill_hidden(outer[..., :-1], outer[..., -1])
        inner = filled[top - outer_top :, left - outer_left :][:height, :width]
        return _planes(inner), alpha

    def _pixels(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """Fewer than [height, width] at the photograph's lower and right edge."""
        return self.rows[top - self.first : top - self.first + height, left : left + width]

    def _colours(self, pixels: np.ndarray) -> np.ndarray:
        return _planes(pixels) / self.largest


def _aligned(start: int) -> int:
    return max(0, start) // GRID_PX * GRID_PX


def _planes(colours: np.ndarray) -> np.ndarray:
    """[h, w, 1 or 3] -> contiguous float32 [1, 3, h, w]."""
    planes = colours.transpose(2, 0, 1)[None].astype(np.float32, order="C")
    return planes if planes.shape[1] == 3 else np.repeat(planes, 3, axis=1)
