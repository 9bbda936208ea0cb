"""Brings HR's colours to LR's, so that a network learns detail and not another exposure.

Each channel gets a tone curve. All share a smooth field of gain, the lenses' vignetting. LR's own
pixels stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.light import Image, Plane, blurred, blurred_bent, encoded
from ibsd.registration.mapping import Array

KNOTS = np.array([0.0, 0.03, 0.08, 0.16, 0.28, 0.44, 0.6, 0.8, 1.0])
"""Levels of HR, sRGB in [0, 1], between which a tone curve is straight. Shadows bend most."""
_ROUNDS = 6
_BLUR_PX = 1.0
"""Blur of both pictures against noise. More blur hides the darkest and the brightest levels. It
also mixes levels that a curve has bent, and their means show another curve."""
_BEND = 1e-6
"""Ridge on the curve's bends for each usable pixel, so that a bend needs evidence."""
_FALL = 1e-4
"""Ridge on the field for each usable pixel."""


@dataclass(frozen=True)
class ColourMatch:
    """LR = field(x, y) * curve(HR), both sRGB in [0, 1]."""

    curves: Array
    """[3, knots]: of each channel, LR's level for HR's levels `KNOTS`."""
    field: Array
    """[5]: of x, y, x^2, xy, y^2, from -1 to 1 over the box; the field is 1 plus these."""
    box: tuple[float, float, float, float]
    """(left, top, right, bottom) in LR pixels."""

    def toned(self, levels: Plane) -> Plane:
        """Curves of sRGB [..., 3] in [0, 1]."""
        toned = np.empty(levels.shape, np.float32)
        for c in range(3):
            toned[..., c] = np.interp(levels[..., c], KNOTS, self.curves[c])
        return toned

    def gains(self, left: float, top: float, width: int, height: int, step: float) -> Plane:
        """[height, width] of the field, for pixels of side `step` LR pixels from a corner on."""
        x0, y0, x1, y1 = self.box
        x = (2 * (left + step * (np.arange(width) + 0.5)) - x0 - x1) / (x1 - x0)
        y = (2 * (top + step * (np.arange(height) + 0.5)) - y0 - y1) / (y1 - y0)
        across, down, bowl_x, slant, bowl_y = self.field
        rows = 1 + down * y + bowl_y * y**2
        columns = across * x + bowl_x * x**2
        field = rows[:, None] + columns + slant * y[:, None] * x
        return np.clip(field, 0.3, 3.0).astype(np.float32)

    def applied(self, hr: Image, left: float, top: float, step: float) -> NDArray[np.uint8]:
        """HR [h, w, 3], resampled from the LR place (left, top) on, in LR's colours and 8 bits."""
        largest = np.iinfo(hr.dtype).max
        height, width = hr.shape[:2]
        table = self.toned(
            np.repeat(np.linspace(0, 1, largest + 1, dtype=np.float32), 3).reshape(-1, 3)
        )
        gains = self.gains(left, top, width, height, step) * 255
        result = np.empty(hr.shape, np.uint8)
        for channel in range(3):
            levels = table[:, channel][hr[..., channel]] * gains
            result[..., channel] = np.clip(np.rint(levels), 0, 255)
        return result


def match_colours(
    lr: Plane,
    hr: Plane,
    usable: NDArray[np.bool_],
    box: tuple[float, float, float, float],
    tone: float = 1.0,
) -> ColourMatch:
    """The match that explains most of LR.

    Args:
        lr: linear light [h, w, 3] over the box.
        hr: the same, of HR where LR's pixels lie.
        usable: [h, w].
        tone: power of LR's tone curve over HR's, about.
    """
    stride = max(1, int(np.sqrt(lr.shape[0] * lr.shape[1] / 40_000)))
    target = encoded(blurred_bent(lr, _BLUR_PX, tone)[::stride, ::stride])
    source = encoded(blurred(hr, _BLUR_PX)[::stride, ::stride])
    known = usable[::stride, ::stride]
    y, x = (np.linspace(-1, 1, length) for length in target.shape[:2])
    x, y = np.meshgrid(x, y)
    x, y = x[known], y[known]
    target, source = target[known].astype(np.float64), source[known].astype(np.float64)
    places_of = np.stack([x, y, x**2, x * y, y**2], 1)
    hats = [
        np.stack([np.interp(source[:, c], KNOTS, hat) for hat in np.eye(len(KNOTS))], 1)
        for c in range(3)
    ]
    bends = _BEND * len(x) * _bends()
    field = np.zeros(5)
    curves = np.tile(KNOTS, (3, 1))
    weights = np.ones(len(x))
    for _ in range(_ROUNDS):
        gains = (1 + places_of @ field)[:, None]
        for c in range(3):
            curves[c] = _solved(hats[c] * gains, target[:, c], weights, bends)
        toned = np.stack([hats[c] @ curves[c] for c in range(3)], 1)
        columns = (places_of[:, None] * toned[..., None]).reshape(-1, 5)
        ridge = _FALL * len(x) * np.eye(5)
        field = _solved(columns, (target - toned).ravel(), np.repeat(weights, 3), ridge)
        left = np.sqrt(((target - toned * (1 + places_of @ field)[:, None]) ** 2).mean(1))
        reach = max(2 * float(np.median(left)), 0.004)
        weights = 1 / (1 + (left / reach) ** 2) ** 2
    # A tone curve never falls.
    return ColourMatch(np.maximum.accumulate(curves, axis=1), field, box)


def _bends() -> Array:
    """[knots, knots]: the sum of squares of a curve's changes of slope, as a quadratic form."""
    widths = np.diff(KNOTS)
    slopes = np.diff(np.eye(len(KNOTS)), axis=0) / widths[:, None]
    changes = np.diff(slopes, axis=0)
    return changes.T @ changes


def _solved(columns: Array, target: Array, weights: Array, ridge: Array) -> Array:
    """Weighted least squares with a quadratic penalty [n, n]."""
    weighted = columns * weights[:, None]
    return np.linalg.pinv(weighted.T @ columns + ridge, hermitian=True) @ (weighted.T @ target)
