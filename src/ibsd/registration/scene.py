"""One scene: from two photographs to where they fit, in which colours, and what cannot be used."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.coarse import CoarseMatch, coarse_match
from ibsd.registration.colour import ColourMatch, match_colours
from ibsd.registration.fine import Fit, fine_fit, grid_of
from ibsd.registration.light import Image, dilated, sampled, shrunk
from ibsd.registration.mapping import Array, Mapping
from ibsd.registration.masks import Comparison, Reason, compare, reasons_map
from ibsd.types import InputError, Scale

DIFFERENT = "different scenes"
"""Words of the sentence that refuses photographs of different scenes."""
Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in LR pixels."""
SURE_PX = 0.04
"""The corners of what is used must be known to this standard deviation in LR pixels, on average."""
MIN_KNOWN = 0.5
"""Share of the common part that must be known so well."""
_LINES = 25
"""That part lies between two of so many lines a side."""
MIN_CORRELATION = 0.75
"""Correlation of LR and HR where they overlap. Unrelated photographs reach 0.2 to 0.6."""
FARTHEST_RATIO = 1.3
"""The measured ratio may be off the scale by this factor."""
NOTED_RATIO = 1.12
"""A remark names a ratio that is off by this factor or more."""
MIN_BELIEVED = 0.6
"""Of the tiles that show detail, this share must follow one mapping."""
DETAIL = 0.02
"""A tile of LR with this standard deviation, in the square root of light, must be found in HR."""
MIN_DETAILED = 0.1
"""Share of the tiles that must show detail, and not be saturated."""
MIN_SIDE_PX = 48
"""Least side of the common part, in LR pixels."""


class RefusedError(InputError):
    """Two photographs that cannot be registered; the sentence says why."""


@dataclass(frozen=True)
class Registered:
    """Two photographs that fit."""

    fit: Fit
    coarse: Mapping
    colours: ColourMatch
    reasons: NDArray[np.uint8]
    """[h, w] of `Reason` over the box, at `fit.step` LR pixels a pixel."""
    before: Comparison
    """What is left under the coarse match."""
    after: Comparison
    """What is left at the end."""
    scale: Scale
    ratio: float
    """HR pixels for one LR pixel."""
    correlation: float
    part: Box
    """The largest part of the box whose corners are known well enough; nothing else is used."""
    corner_px: float
    """Standard deviation of the corners of this part, in LR pixels."""
    num_matches: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the common part, in LR pixels."""
        left, top, right, bottom = (int(side) for side in self.fit.mapping.box)
        return left, top, right, bottom

    def remark(self) -> str:
        """A sentence about the ratio where it is far from the scale; "" else."""
        off = max(self.ratio / self.scale, self.scale / self.ratio)
        if off < NOTED_RATIO:
            return ""
        what = "shrunk" if self.ratio > self.scale else "enlarged"
        return (
            f"HR shows things {self.ratio:.2f} times as large as LR, not {self.scale} times: "
            f"it was {what} by {off:.2f}"
        )

    def rest_levels(self) -> tuple[float, float]:
        """Root mean square of what is left in levels of 255, where nothing is masked: under the
        coarse match, and at the end."""
        good = np.flatnonzero(self.reasons == Reason.GOOD)
        before, after = (
            float(np.sqrt((comparison.rest.reshape(-1, 3)[good] ** 2).mean())) * 255
            if len(good)
            else 0.0
            for comparison in (self.before, self.after)
        )
        return before, after

    def shown(self, hr: Image, size: tuple[int, ...]) -> NDArray[np.uint8]:
        """HR over the common part in LR's colours, as uint8 of a size [height, width, 3]."""
        left, top, right, _ = self.box
        step = (right - left) / size[1]
        shrink = max(1, int(self.ratio * step))
        small = shrunk(hr, shrink)
        places = self.fit.mapping.pixel_map(left, top, size[1], size[0], step, shrink)
        return self.colours.applied(sampled(small, places), left, top, step)

    def shares(self) -> dict[str, float]:
        """{reason: share of the common part}."""
        return {
            reason.words: float((self.reasons == reason).mean())
            for reason in Reason
            if (self.reasons == reason).any()
        }


def chosen_scale(ratio: float) -> Scale:
    """Of 2, 3 and 4 the scale nearest to a ratio: 2.6 -> 3."""
    return min((2, 3, 4), key=lambda scale: abs(np.log(ratio / scale)))


def coarse_mapping(lr: Image, hr: Image, match: CoarseMatch) -> Mapping:
    """The mapping of a coarse match, with the common part as its box. RefusedError where the match
    cannot be one of two photographs of a scene."""
    if min(match.num_features) < match.least:
        side = "LR" if match.num_features[0] < match.num_features[1] else "HR"
        raise RefusedError(
            f"{side} shows too little detail, as a flat wall does: "
            f"{min(match.num_features)} features of at least {match.least}"
        )
    if match.charts and match.charts[0] != match.charts[1]:
        raise RefusedError(
            f"LR and HR show {DIFFERENT}: chart {match.charts[0]} and chart {match.charts[1]}"
        )
    if not match.sufficient:
        raise RefusedError(
            f"LR and HR show {DIFFERENT}, or too little of both: "
            f"{match.num_matches} features agree, of at least {match.least}"
        )
    sizes = (lr.shape[0], lr.shape[1]), (hr.shape[0], hr.shape[1])
    mapping = Mapping.from_homography(match.homography, *sizes)
    mapping = replace(mapping, box=common_box(mapping, match.inside))
    left, top, right, bottom = mapping.box
    if min(right - left, bottom - top) < MIN_SIDE_PX:
        raise RefusedError(
            f"LR and HR share {right - left:.0f}x{bottom - top:.0f} LR pixels only: "
            f"{MIN_SIDE_PX} a side are needed"
        )
    determinants = np.linalg.det(mapping.local_matrix(grid_of(mapping.box)))
    if determinants.min() <= 0 or determinants.max() > 4 * determinants.min():
        raise RefusedError(f"LR and HR fit only if one is bent: they show {DIFFERENT}")
    return mapping


def checked_scale(mapping: Mapping, scale: Scale | None) -> Scale:
    """The scale asked for, or the nearest. RefusedError where the measured ratio is far from it."""
    ratio = mapping.ratio(grid_of(mapping.box))
    wanted = scale or chosen_scale(ratio)
    if max(ratio / wanted, wanted / ratio) <= FARTHEST_RATIO:
        return wanted
    if ratio < 0.8:
        advice = "are the folders of LR and HR swapped?"
    else:
        advice = "photograph from another distance, or with another focal length"
    raise RefusedError(
        f"HR shows things {ratio:.2f} times as large as LR, too far from x{wanted}: {advice}"
    )


def register_pair(
    lr: Image,
    hr: Image,
    scale: Scale | None = None,
    match: CoarseMatch | None = None,
    sure_px: float = SURE_PX,
) -> Registered:
    """Registers two photographs of one scene, sRGB [H, W, 3] of 8 or 16 bits.

    Args:
        scale: 2, 3 or 4; by default the one nearest to what is measured.
        match: a coarse match made before.
        sure_px: standard deviation in LR pixels up to which the corners must be known.

    Errors: RefusedError where the photographs do not fit, or fit too loosely to learn from.
    """
    match = match or coarse_match(lr, hr)
    coarse = coarse_mapping(lr, hr, match)
    scale = checked_scale(coarse, scale)
    left, top, right, bottom = coarse.box
    long = max(lr.shape) / 1400
    first_step = 1
    while first_step < 2 * long and min(right - left, bottom - top) > 64 * 2 * first_step:
        first_step *= 2
    fit = fine_fit(lr, hr, coarse, first_step)
    _check_believed(fit)
    after_lights, before_lights = fit.pyramid.lights((fit.mapping, coarse), fit.step)
    # Where blurs saw what lies beyond HR's edge, colours are false.
    usable = ~dilated(~after_lights.within, 2)
    colours = match_colours(
        after_lights.lr, after_lights.hr, usable, fit.mapping.box, fit.pyramid.tone
    )
    after = compare(fit, colours, after_lights)
    reasons = reasons_map(fit, after)
    correlation = _correlation(fit, reasons == Reason.GOOD)
    if correlation < MIN_CORRELATION:
        raise RefusedError(
            f"LR and HR show different things: correlation {correlation:.2f} at the best fit, "
            f"of at least {MIN_CORRELATION}"
        )
    part, corner_px = _known_part(fit, sure_px)
    reasons[_outside(part, fit, reasons.shape)] = Reason.UNSURE
    return Registered(
        fit,
        coarse,
        colours,
        reasons,
        compare(fit, colours, before_lights),
        after,
        scale,
        fit.mapping.ratio(grid_of(fit.mapping.box)),
        correlation,
        part,
        corner_px,
        match.num_matches,
    )


def corners(box: Box) -> Array:
    """[4, 2]: (x, y) of a box, clockwise from the top left."""
    left, top, right, bottom = box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def common_box(mapping: Mapping, inside: Array | None = None) -> Box:
    """The part of LR that HR shows: an upright rectangle in whole pixels, cut from the side that
    lies outside most until less than one in fifty points does.

    Args:
        inside: corners [4, 2] of a part of LR, clockwise, to which it is limited.
    """
    height, width = mapping.lr_size
    num = 60
    x = np.linspace(0, width, num + 1)
    y = np.linspace(0, height, num + 1)
    if inside is not None:
        low, high = inside.min(0), inside.max(0)
        x = np.linspace(max(0, low[0]), min(width, high[0]), num + 1)
        y = np.linspace(max(0, low[1]), min(height, high[1]), num + 1)
    points = np.stack(np.meshgrid(x, y), -1)
    places = mapping(points)
    limits = np.array(mapping.hr_size[::-1])
    out = np.asarray(((places < 0) | (places > limits)).any(-1))
    if inside is not None:
        for start, end in zip(inside, np.roll(inside, -1, 0), strict=True):
            along, to = end - start, points - start
            out |= along[0] * to[..., 1] - along[1] * to[..., 0] < 0
    top, bottom, left, right = 0, num, 0, num
    while bottom > top and right > left:
        part = out[top : bottom + 1, left : right + 1]
        shares = [part[0].mean(), part[-1].mean(), part[:, 0].mean(), part[:, -1].mean()]
        if max(shares) <= 0.02:
            break
        worst = int(np.argmax(shares))
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return (
        float(np.ceil(x[left])),
        float(np.ceil(y[top])),
        float(np.floor(x[right])),
        float(np.floor(y[bottom])),
    )


def _known_part(fit: Fit, sure_px: float) -> tuple[Box, float]:
    """The largest part of the common one whose corners are known to `sure_px` on average, and how
    well they are known. So corners that show nothing spoil no other part. RefusedError if the part
    is small."""
    points = grid_of(fit.mapping.box, _LINES)
    spreads = fit.spread_px(points).reshape(_LINES, _LINES)
    low, high = np.triu_indices(_LINES, 1)
    means = np.mean(
        [spreads[np.ix_(rows, columns)] for rows in (low, high) for columns in (low, high)], 0
    )
    shares = np.outer(high - low, high - low) / (_LINES - 1) ** 2
    known = np.where(means <= sure_px, shares, 0.0)
    if known.max() < MIN_KNOWN:
        raise RefusedError(
            f"the best {MIN_KNOWN:.0%} of the common part are known to "
            f"{means[shares >= MIN_KNOWN].min():.3f} LR pixels only, of at most {sure_px}: "
            "LR or HR shows too little detail, or too much has moved"
        )
    row, column = np.unravel_index(int(known.argmax()), known.shape)
    lines = points.reshape(_LINES, _LINES, 2)
    x, y = lines[0, :, 0].tolist(), lines[:, 0, 1].tolist()
    part = x[low[column]], y[low[row]], x[high[column]], y[high[row]]
    return part, float(means[row, column])


def _outside(part: Box, fit: Fit, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """[h, w] at `fit.step` LR pixels a pixel: what does not lie in a part of the box."""
    left, top = fit.mapping.box[:2]
    x, y = (fit.step * (np.arange(length) + 0.5) for length in (size[1], size[0]))
    across = (x + left > part[0]) & (x + left < part[2])
    down = (y + top > part[1]) & (y + top < part[3])
    return ~(down[:, None] & across)


def _check_believed(fit: Fit) -> None:
    usable = fit.tiles.usable
    if not usable.mean() > MIN_DETAILED:
        raise RefusedError(
            f"LR or HR shows too little detail: {usable.mean():.0%} of the common part can be "
            f"compared, of at least {MIN_DETAILED:.0%}"
        )
    # What lies too far off is no usable tile, and no witness for the mapping.
    detailed = usable | (fit.tiles.contrasts > DETAIL)
    believed = float((fit.weights[detailed] > 0.1).mean())
    if believed < MIN_BELIEVED:
        raise RefusedError(
            f"LR and HR do not fit as one picture: {believed:.0%} of the parts that show detail "
            f"agree, of at least {MIN_BELIEVED:.0%}"
        )


def _correlation(fit: Fit, good: NDArray[np.bool_]) -> float:
    view = fit.pyramid.view(fit.mapping, fit.step)
    known = good & view.usable
    if known.sum() < 100:
        return 0.0
    pair = np.stack([view.lr[known], view.hr[known]]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(np.asarray(np.corrcoef(pair))[0, 1])
    return value if np.isfinite(value) else 0.0
