"""Transparency: opacity is interpolated, and invisible colours must not bleed into visible ones."""

from __future__ import annotations

import numpy as np

from ibsd.types import Scale

LEVELS = 5
GRID_PX = 2**LEVELS
"""A region is filled as in the whole image only if it begins at a multiple of this."""
REACH_PX = 3 * GRID_PX
"""The filling of a pixel depends on pixels at most this far away."""


def fill_hidden(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """[h, w, 3] float32 in which colours under alpha [h, w] = 0 are replaced by averages of visible
    ones near by. All others stay.

    Averages over 2x2, 4x4, ... pixels, weighted by alpha, fill what the finer ones leave open, up
    to `GRID_PX`. Farther away the filling is mid-grey. No network sees that far.
    Source: Gortler et al., SIGGRAPH 1996 (pull-push).
    """
    if alpha.all():
        return rgb
    return _filled(rgb, alpha.astype(np.float32), LEVELS)


def _filled(rgb: np.ndarray, weight: np.ndarray, levels: int) -> np.ndarray:
    hidden = weight <= 0
    if not hidden.any():
        return rgb
    if levels == 0:
        return np.where(hidden[..., None], np.float32(0.5), rgb)
    coarse_weight = _halved(weight[..., None])
    colour = _halved(rgb * weight[..., None]) / np.maximum(coarse_weight, np.float32(1e-12))
    coarse = _filled(colour, coarse_weight[..., 0], levels - 1)
    return np.where(hidden[..., None], _doubled(coarse, *rgb.shape[:2]), rgb)


def _halved(array: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels, [ceil(h/2), ceil(w/2), c]. At an odd edge, means of the pixels there."""
    height, width = array.shape[:2]
    padded = np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    upper = padded[::2, ::2] + padded[1::2, ::2]
    return (upper + padded[::2, 1::2] + padded[1::2, 1::2]) * np.float32(0.25)


def _doubled(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """Twice the size by bilinear interpolation (half-pixel centres, edges repeated), cut to
    [height, width]."""
    for axis, size in ((0, height), (1, width)):
        array = np.moveaxis(array, axis, 0)
        previous = np.concatenate((array[:1], array[:-1]))
        following = np.concatenate((array[1:], array[-1:]))
        near = np.float32(0.75) * array
        first = near + np.float32(0.25) * previous
        second = near + np.float32(0.25) * following
        out = np.stack((first, second), axis=1)
        array = np.moveaxis(out.reshape(-1, *array.shape[1:])[:size], 0, axis)
    return array


def bicubic_plane(plane: np.ndarray, scale: Scale) -> np.ndarray:
    """[h, w] -> [sh, sw] float32 by bicubic interpolation as in `ibsd.images.bicubic` (a = -0.75,
    edges repeated), clamped to [0, 1]."""
    for _ in range(2):
        plane = _cubic_rows(plane, scale).T
    return np.clip(plane, 0, 1)


def _cubic_rows(plane: np.ndarray, scale: Scale) -> np.ndarray:
    padded = np.pad(plane.astype(np.float32), ((3, 3), (0, 0)), mode="edge")
    out = np.empty((len(plane), scale, plane.shape[1]), np.float32)
    for phase in range(scale):
        position = (phase + 0.5) / scale - 0.5
        first = int(np.floor(position)) - 1
        out[:, phase] = sum(
            np.float32(_cubic(position - (first + k)))
            * padded[3 + first + k : 3 + first + k + len(plane)]
            for k in range(4)
        )
    return out.reshape(-1, plane.shape[1])


def _cubic(distance: float, a: float = -0.75) -> float:
    """Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981)."""
    x = abs(distance)
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0
