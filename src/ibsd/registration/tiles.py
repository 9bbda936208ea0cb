"""Shift, gain, offset, tone and blur of small tiles of two pictures of one size: one least-squares
problem a tile, all at once.

Every tile has a gain, an offset, a bend of the tone curve and a difference of blur of its own, so
that vignetting, exposure, tone curves and lenses do not pull at the shift.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.light import Plane

Array = NDArray[np.float64]
LARGEST_STEP_PX = 2.0
"""A tile that wants to move further has found nothing."""
LEAST_GAIN = 0.2
"""Least gain of a tile; its inverse is the largest."""
ALIKE_PIXELS = 4.0
"""Neighbouring pixels of a smoothed picture that share one noise."""
_NUISANCES = 4
LEAST_SPREAD = 1e-4
"""Variance between tiles of how the tone curve bends, at least."""
_LEAST_TOLD = 20
"""So many tiles must show how the tone curve bends."""
_LEAST_FILLED = 0.4
"""Share of a tile's pixels that must be usable."""
LEAST_NOISE = 5e-4
"""Standard deviation that 256 levels alone leave in a picture in [0, 1], smoothed a little. A flat
tile seems to have less where rounding errors cancel; it would outvote all others."""


class TileFits(NamedTuple):
    """The fits of rows x columns tiles. Arrays are [rows * columns, ...]."""

    shape: tuple[int, int]
    centres: Array
    """[n, 2]: (x, y) in pixels."""
    shifts: Array
    """[n, 2]: (x, y) in pixels; `target(p)` shows what `source(p + shift)` does."""
    information: Array
    """[n, 2, 2]: the inverse covariance of the shift, in 1 / px^2; 0 where the tile tells
    nothing."""
    gains: Array
    """Contrast of the target over that of the source."""
    blurs: Array
    """Variance in px^2 by which the target is blurred more than the source."""
    residuals: Array
    """Root mean square of what is left after the fit."""
    contrasts: Array
    """Standard deviation of the target; 0 where too little of the tile is usable."""
    tone: float
    """Power of the tone curve over all tiles: about target = gain * source**tone."""

    @property
    def usable(self) -> NDArray[np.bool_]:
        return np.trace(self.information, axis1=1, axis2=2) > 0

    @property
    def spreads(self) -> Array:
        """[n]: standard deviation of each shift in pixels, where it is known least."""
        return np.sqrt(1 / np.maximum(np.linalg.eigvalsh(self.information)[:, 0], 1e-12))


def tile_px(height: int, width: int, wanted: int = 600) -> int:
    """Side of about `wanted` tiles: 8 to 64 pixels."""
    return int(np.clip(np.sqrt(height * width / wanted), 8, 64))


def fit_tiles(target: Plane, source: Plane, usable: NDArray[np.bool_], side: int) -> TileFits:
    """Fits target = gain * source(p + shift) + offset in each tile, to first order.

    Args:
        target, source: [h, w].
        usable: [h, w]; other pixels do not count.
        side: of a tile, in pixels. What is left over at the right and below is not fitted.
    """
    import cv2

    rows, columns = (length // side for length in target.shape)
    slope_y, slope_x = _slopes(source)
    weight = usable.astype(np.float32)
    # Near 0 products keep their digits.
    middle = float(source[usable].mean()) if usable.any() else 0.0
    level = source - middle
    curvature = np.asarray(cv2.Laplacian(source, cv2.CV_32F), np.float32) / 2
    terms = [
        *(np.ones_like(level), level, level**2, curvature),
        *(slope_x, slope_y, target - middle),
    ]

    def total(plane: Plane) -> Array:
        cut = plane[: rows * side, : columns * side]
        means = cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(means, np.float64).ravel() * side**2

    sums = np.empty((rows * columns, 7, 7))
    for i, one in enumerate(terms):
        weighted = one * weight
        for j in range(i, 7):
            sums[:, i, j] = sums[:, j, i] = total(weighted * terms[j])
    count = np.maximum(sums[:, 0, 0], 1.0)
    contrasts = sums[:, 6, 6] / count - (sums[:, 0, 6] / count) ** 2
    filled = count >= _LEAST_FILLED * side**2
    tone = _know_tone(sums, filled, middle)
    steps, normal, left, values, variance, gains = _solved(sums)
    scale = np.where(abs(gains) > 1e-3, gains, 1.0)
    shifts = steps / scale[:, None]
    information = normal * (gains**2 / variance)[:, None, None]
    bad = (
        ~filled
        | (gains < LEAST_GAIN)
        | (gains > 1 / LEAST_GAIN)
        | (abs(shifts).max(1) > LARGEST_STEP_PX)
    )
    information[bad] = 0
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    return TileFits(
        (rows, columns),
        side * np.stack([x.ravel(), y.ravel()], 1),
        np.where(bad[:, None], 0.0, shifts),
        information,
        gains,
        values[:, 3] / scale,
        np.sqrt(left / count),
        np.sqrt(np.maximum(contrasts, 0)) * filled,
        tone,
    )


class _Solved(NamedTuple):
    """The tiles' fits, from their `sums`."""

    steps: Array
    """[n, 2]: gain times shift."""
    normal: Array
    """[n, 2, 2]: least squares of the steps alone."""
    left: Array
    """Sum of squares."""
    values: Array
    """[n, 4]: offset, gain, bend and blur."""
    variance: Array
    """Variance of a pixel's noise."""
    gains: Array
    """Slope of the tone curve where the tile lies."""


def _solved(sums: Array) -> _Solved:
    count = np.maximum(sums[:, 0, 0], 1.0)
    # Offset, gain, tone and blur are eliminated: what stays is of the shift alone.
    rest, nuisances = _eliminated(sums, _NUISANCES)
    normal = rest[:, :2, :2]
    trace = np.trace(normal, axis1=1, axis2=2)
    solid = normal + np.maximum(1e-4 * trace, 1e-12)[:, None, None] * np.eye(2)
    steps = np.linalg.solve(solid, rest[:, :2, 2:])[..., 0]
    left = np.maximum(rest[:, 2, 2] - (steps * rest[:, :2, 2]).sum(1), 1e-12)
    values = nuisances[:, :, 2] - (nuisances[:, :, :2] * steps[:, None]).sum(2)
    gains = values[:, 1] + 2 * values[:, 2] * sums[:, 0, 1] / count
    variance = np.maximum(left / np.maximum(count - 6, 1.0), LEAST_NOISE**2)
    return _Solved(steps, normal, left, values, variance, gains)


def _know_tone(sums: Array, filled: NDArray[np.bool_], middle: float) -> float:
    """Writes into the `sums` that the tone curve bends about as much in all tiles. Otherwise a tile
    with one edge cannot tell a shift from a bend. Returns the power of the curve.

    Under the power p a bend is (p - 1) / 2 times gain over level.
    """
    first = _solved(sums)
    told = filled & (first.gains > LEAST_GAIN) & (first.gains < 1 / LEAST_GAIN)
    if told.sum() < _LEAST_TOLD:
        return 1.0
    inner = sums[:, :6, :6]
    ridge = 1e-8 + 1e-9 * np.trace(inner, axis1=1, axis2=2)
    solid = inner + ridge[:, None, None] * np.eye(6)
    noise = ALIKE_PIXELS * first.variance
    level = np.maximum(sums[:, 0, 1] / np.maximum(sums[:, 0, 0], 1.0) + middle, 0.1)
    unit = np.clip(first.gains, LEAST_GAIN, 1 / LEAST_GAIN) / level
    bends = first.values[:, 2] / unit
    doubts = noise * np.linalg.inv(solid)[:, 2, 2] / unit**2
    bend = _weighted_median(bends[told], 1 / doubts[told])
    known = told & (doubts <= np.quantile(doubts[told], 1 / 3))
    spread = 2.2 * np.median((bends[known] - bend) ** 2) - np.median(doubts[known])
    weight, wanted = noise / (max(float(spread), LEAST_SPREAD) * unit**2), bend * unit
    sums[:, 2, 2] += weight
    sums[:, 2, 6] += weight * wanted
    sums[:, 6, 2] += weight * wanted
    sums[:, 6, 6] += weight * wanted**2
    return float(np.clip(1 + 2 * bend, 0.5, 2.0))


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _eliminated(sums: Array, num: int) -> tuple[Array, Array]:
    """Normal equations without their first `num` unknowns, and what these unknowns are for each
    remaining column."""
    first = sums[:, :num, :num]
    size = np.maximum(np.trace(first, axis1=1, axis2=2), 1e-9)
    solid = first + 1e-9 * size[:, None, None] * np.eye(num)
    values = np.linalg.solve(solid, sums[:, :num, num:])
    return sums[:, num:, num:] - sums[:, num:, :num] @ values, values


def _slopes(plane: Plane) -> tuple[Plane, Plane]:
    """Change down and to the right, by central differences."""
    down = np.zeros_like(plane)
    right = np.zeros_like(plane)
    down[1:-1] = (plane[2:] - plane[:-2]) / 2
    right[:, 1:-1] = (plane[:, 2:] - plane[:, :-2]) / 2
    return down, right
