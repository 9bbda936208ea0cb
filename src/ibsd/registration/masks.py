"""A map over LR of what cannot be learned from, and why."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.colour import ColourMatch
from ibsd.registration.fine import Fit, Lights
from ibsd.registration.light import Plane, box_mean, dilated, encoded

SATURATED_SHARE = 0.5
"""A highlight counts if it fills this share of a neighbourhood of `_HIGHLIGHT_PX`."""
_HIGHLIGHT_PX = 25
_WINDOW_PX = 3
_SURE = 14.0
_LIKELY = 7.0
"""What moved has seeds with `_SURE` times the energy that noise and small shifts leave, and grows
from there over pixels with `_LIKELY` times that energy."""
_LEAST = 0.02
"""Below this root mean square of sRGB in [0, 1] nothing is called moved."""
_GROWN_PX = 1
SHIFTED_PX = 0.5
"""A tile that lies further off than this does not fit the rest."""
BLURRED_PX2 = 1.6
"""A tile of LR may be blurred more than the rest by this variance, in LR pixels squared."""
SHARP_PX2 = 0.35
"""LR may be sharper than HR by this variance, in LR pixels squared."""


class Reason(IntEnum):
    """Why an LR pixel is not used; GOOD pixels are."""

    GOOD = 0
    OUTSIDE = 1
    MOVED = 2
    UNALIGNED = 3
    BLURRED = 4
    SATURATED = 5
    UNSURE = 6

    @property
    def words(self) -> str:
        return {
            Reason.GOOD: "used",
            Reason.OUTSIDE: "not in HR",
            Reason.MOVED: "moved or changed",
            Reason.UNALIGNED: "not aligned",
            Reason.BLURRED: "out of focus",
            Reason.SATURATED: "saturated",
            Reason.UNSURE: "known too badly",
        }[self]


class Comparison(NamedTuple):
    """LR and HR in LR's colours, over the fit's box at `fit.step` LR pixels a pixel."""

    rest: Plane
    """[h, w, 3]: LR less HR, sRGB in [0, 1]; 0 where one of them is saturated."""
    hr: Plane
    """[h, w, 3], smoothed as LR is."""
    bright: NDArray[np.bool_]
    within: NDArray[np.bool_]
    """Inside HR."""

    @property
    def size(self) -> Plane:
        """[h, w]: root mean square of the three channels."""
        return np.sqrt((self.rest**2).mean(2))


def compare(fit: Fit, colours: ColourMatch, lights: Lights) -> Comparison:
    """What is left between LR and HR."""
    height, width = lights.lr.shape[:2]
    left, top = fit.mapping.box[:2]
    gains = colours.gains(left, top, width, height, fit.step)
    source = colours.toned(encoded(lights.hr)) * gains[..., None]
    rest = np.asarray(encoded(lights.lr) - source, np.float32)
    rest[dilated(lights.bright, 2)] = 0
    return Comparison(rest, source, lights.bright, lights.within)


def reasons_map(fit: Fit, after: Comparison) -> NDArray[np.uint8]:
    """[h, w] of `Reason` over the fit's box, at `fit.step` LR pixels a pixel."""
    size = after.bright.shape
    reasons = np.full(size, Reason.GOOD, np.uint8)
    share = box_mean(after.bright.astype(np.float32), _HIGHLIGHT_PX)
    reasons[share > SATURATED_SHARE] = Reason.SATURATED
    reasons[_of_tiles(fit, _out_of_focus(fit), size)] = Reason.BLURRED
    reasons[_of_tiles(fit, _shifted(fit), size)] = Reason.UNALIGNED
    reasons[_moved(after)] = Reason.MOVED
    reasons[~after.within] = Reason.OUTSIDE
    return reasons


def _moved(after: Comparison) -> NDArray[np.bool_]:
    """Where more is left than noise and small errors of shift and blur explain."""
    import cv2

    within = after.within
    energy = box_mean((after.rest**2).mean(2), _WINDOW_PX)
    down, right = (
        np.diff(after.hr, axis=axis, append=after.hr.take([-1], axis)) for axis in (0, 1)
    )
    texture = box_mean((down**2 + right**2).mean(2), _WINDOW_PX)
    if not within.any():
        return within
    flat = within & (texture <= np.quantile(texture[within], 0.3))
    noise = float(np.median(energy[flat])) + 1e-6
    rich = within & (texture >= np.quantile(texture[within], 0.6))
    factor = max(float(np.median((energy[rich] - noise) / (texture[rich] + 1e-9))), 0.0)
    surprise = energy / (noise + factor * texture)
    likely = (surprise > _LIKELY) & (energy > _LEAST**2) & within
    _, labels = cv2.connectedComponents(likely.astype(np.uint8))
    sure = np.unique(labels[likely & (surprise > _SURE)])
    return dilated(np.isin(labels, sure[sure > 0]), _GROWN_PX)


def _known(fit: Fit) -> NDArray[np.bool_]:
    tiles = fit.tiles
    return tiles.usable & (tiles.contrasts > 4 * tiles.residuals)


def _out_of_focus(fit: Fit) -> NDArray[np.bool_]:
    """Tiles that LR blurs more than the rest, or HR more than LR."""
    blurs = _smoothed(fit, fit.tiles.blurs) * fit.step**2
    lr_blurred = blurs > BLURRED_PX2
    hr_blurred = blurs < -(fit.pyramid.camera_px**2) - SHARP_PX2
    return _known(fit) & (lr_blurred | hr_blurred)


def _shifted(fit: Fit) -> NDArray[np.bool_]:
    sizes = np.linalg.norm(fit.tiles.shifts, axis=1) * fit.step
    return _known(fit) & (sizes > SHIFTED_PX) & (sizes > 4 * fit.tiles.spreads * fit.step)


def _smoothed(fit: Fit, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each tile and its neighbours: single tiles are noisy."""
    import cv2

    plane = values.reshape(fit.tiles.shape).astype(np.float32)
    return np.asarray(cv2.medianBlur(plane, 3), np.float64).ravel()


def _of_tiles(fit: Fit, chosen: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of the chosen tiles."""
    rows, columns = fit.tiles.shape
    side = round(2 * float(fit.tiles.centres[0, 0]))
    mask = np.zeros(size, bool)
    tiles = chosen.reshape(rows, columns).repeat(side, 0).repeat(side, 1)
    mask[: rows * side, : columns * side] = tiles
    return mask
