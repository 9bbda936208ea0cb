"""The fine registration: where LR's points lie in HR, to a small part of a pixel.

From coarse to fine, HR is sampled where LR's pixels lie. Small tiles of both say how far they are
still apart, and how surely. One robust least-squares step then moves homography, lenses and, at
the finest level, the smooth residual field, as far as the pictures show it (`prior`). The idea of a
joint fit of geometry and luminance is that of Cai et al., ICCV 2019, arXiv:1904.00523; their one
affine is all of the picture's, our gain and offset are each tile's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.light import (
    Image,
    Plane,
    blurred,
    blurred_bent,
    dilated,
    largest_channel,
    luma,
    root,
    sampled,
    shrunk_again,
    shrunk_light,
)
from ibsd.registration.mapping import NUM_FIELD, NUM_RIGID, Array, Mapping
from ibsd.registration.prior import Step, averaged_step
from ibsd.registration.tiles import TileFits, fit_tiles, tile_px

SMOOTHING_PX = 0.7
"""Standard deviation of the blur of both pictures before they are compared, in LR pixels. Less is
worse where a scene is finer than LR's pixels."""
CAMERA_PX = 0.5
"""Standard deviation, at first, of the blur that LR has and HR has not, in LR pixels."""
LARGEST_FINE_PIXELS = 2_000_000
"""Up to so many, LR's pixels are compared one by one. Larger common parts are compared in blocks of
pixels."""
BRIGHT = 0.99
"""Light from here on is nearly saturated."""
_SATURATED = 0.985
_STEPS = 6
_STILL_PX = 0.003
_BORDER_PX = 3
ALIKE_TILES = 3.0
"""So many tiles count as one witness of how far the mapping may bend unseen, because neighbours err
alike. With 1, two of 80 planted scenes were surer than they were right."""
_BLOCKS = 4
"""The common part is divided into so many blocks a side, to see what leaving one out changes."""


class Lights(NamedTuple):
    """Both pictures in linear light over LR's common part at one level."""

    lr: Plane
    """[h, w, 3], smoothed."""
    hr: Plane
    """[h, w, 3], smoothed alike, where LR's pixels lie."""
    bright: NDArray[np.bool_]
    """Nearly saturated in LR or HR."""
    within: NDArray[np.bool_]
    """Inside HR."""


class View(NamedTuple):
    """Both pictures over LR's common part at one level, in the square root of light."""

    lr: Plane
    """[h, w], smoothed."""
    hr: Plane
    """[h, w], smoothed alike, where LR's pixels lie."""
    usable: NDArray[np.bool_]
    """Inside both pictures and not saturated."""


@dataclass(frozen=True)
class Fit:
    """A mapping, and how well it is known."""

    mapping: Mapping
    tiles: TileFits
    """At the end; their shifts are what is left."""
    weights: Array
    """[tiles]: 0 to 1, how far each tile was believed."""
    votes: Array
    """[tiles, 2, 2]: the information of each tile's shift as it counted, in 1 / (LR pixel)^2."""
    step: int
    """LR pixels in a side of a pixel of the finest level."""
    pyramid: Pyramid

    def spread_px(self, points: Array) -> Array:
        """[n, 2] -> [n]: standard deviation of the mapping at these points, in LR pixels. Its
        square is the mean of two variances: one believes the tiles, the other does not."""
        all_tiles, *without = self._cautious_steps()
        slopes = _slopes(self.mapping, points, len(all_tiles.change))
        believed = np.einsum("nij,jk,nik->n", slopes, all_tiles.covariance, slopes)
        changes = slopes @ np.stack([step.change for step in without]).T
        changes -= changes.mean(-1, keepdims=True)
        num = changes.shape[-1]
        seen = (changes**2).sum((1, 2)) * (num - 1) / num
        return np.sqrt((believed + seen) / 2)

    def _cautious_steps(self) -> list[Step]:
        """The next step, and the steps without all tiles of one block (the jackknife). They show
        what errors neighbours have in common, which no tile's own noise shows."""
        tiles = self.tiles
        points = tiles.centres * self.step + np.array(self.mapping.box[:2])
        slopes = _slopes(self.mapping, points, NUM_RIGID + NUM_FIELD)
        wanted = tiles.shifts * self.step
        rows, columns = tiles.shape
        row, column = np.divmod(np.arange(rows * columns), columns)
        block = row * _BLOCKS // rows * _BLOCKS + column * _BLOCKS // columns
        return [
            _step(self.mapping, slopes[kept], self.votes[kept], wanted[kept], ALIKE_TILES)
            for kept in (block != number for number in range(-1, _BLOCKS**2))
        ]


class Pyramid:
    """Two photographs in linear light at several levels, made once."""

    def __init__(self, lr: Image, hr: Image, mapping: Mapping) -> None:
        self.lr = lr
        self.hr = hr
        self.lr_light: dict[int, Plane] = {}
        self.hr_light: dict[int, Plane] = {}
        self.hr_luma: dict[int, Plane] = {}
        self.lr_view: tuple[tuple[int, float], Plane] | None = None
        self.hr_smooth: tuple[tuple[int, float], Plane] | None = None
        self.ratio = mapping.ratio(grid_of(mapping.box))
        self.camera_px = CAMERA_PX
        self.tone = 1.0
        """Power of LR's tone curve over HR's."""

    def planes(
        self, mapping: Mapping, step: int
    ) -> tuple[Plane, Plane, float, NDArray[np.float32]]:
        """(LR's common part, HR shrunk, HR's pixels for one of LR's, where LR's pixels lie in HR)
        at `step` LR pixels a pixel."""
        left, top, right, bottom = (int(side) for side in mapping.box)
        lr = _level(self.lr_light, self.lr[top:bottom, left:right], step)
        shrink = self.shrink(step)
        hr = _level(self.hr_light, self.hr, shrink)
        height, width = lr.shape[:2]
        places = mapping.pixel_map(left, top, width, height, step, shrink)
        return lr, hr, self.ratio * step / shrink, places

    def shrink(self, step: int) -> int:
        """By which HR is shrunk at a level: two to four of its pixels stay for one of LR's. Blocks
        of LR's pixels get a little less, for a ratio just below 2 would keep all of HR."""
        least = 2.0 if step == 1 else 1.8
        return max(1, int(self.ratio * step / least))

    def lights(self, mappings: Sequence[Mapping], step: int) -> list[Lights]:
        """Both pictures at `step` LR pixels a pixel under each mapping."""
        lr, hr, ratio, _ = self.planes(mappings[0], step)
        lr_bright = largest_channel(lr) > BRIGHT
        lr_smooth = blurred_bent(lr, SMOOTHING_PX, self.tone)
        hr_smooth = blurred(hr, float(np.hypot(SMOOTHING_PX, self.camera_px / step)) * ratio)
        lights: list[Lights] = []
        for mapping in mappings:
            places = self.planes(mapping, step)[3]
            moved = sampled(hr_smooth, places)
            bright = lr_bright | (largest_channel(moved) > BRIGHT)
            lights.append(Lights(lr_smooth, moved, bright, inside(places, hr.shape, ratio)))
        return lights

    def view(self, mapping: Mapping, step: int) -> View:
        """Both pictures at `step` LR pixels a pixel."""
        lr, hr, ratio, places = self.planes(mapping, step)
        # Blurring bent levels moves edges: what LR's tone curve did is undone before.
        lr_key = (step, round(self.tone, 3))
        if self.lr_view is None or self.lr_view[0] != lr_key:
            straight = luma(np.power(lr, np.float32(1 / lr_key[1])))
            self.lr_view = (lr_key, root(blurred(straight, SMOOTHING_PX)))
        lr_view = self.lr_view[1]
        shrink = self.shrink(step)
        if shrink not in self.hr_luma:
            self.hr_luma[shrink] = luma(hr)
        # A hundredth of a pixel of blur moves nothing, and blurs of a whole photograph take time.
        key = (shrink, round(self.camera_px / step * ratio, 2))
        if self.hr_smooth is None or self.hr_smooth[0] != key:
            self.hr_smooth = (key, blurred(self.hr_luma[shrink], key[1]))
        # As LR was made: what was too fine for its pixels is false in both alike.
        moved = blurred(sampled(self.hr_smooth[1], places, "cubic"), SMOOTHING_PX)
        usable = inside(places, hr.shape, _BORDER_PX * ratio)
        usable &= ~dilated((largest_channel(lr) > _SATURATED) | (moved > _SATURATED), 2)
        return View(lr_view, root(moved), usable)

    def learn(self, fit: Fit) -> None:
        """Adapts the blur of HR and the tone curve of LR to what LR's tiles show."""
        self.tone = float(np.clip(self.tone * fit.tiles.tone, 0.5, 2.0))
        known = fit.weights > 0.3
        if known.any():
            wanted = float(np.median(fit.tiles.blurs[known])) * fit.step**2
            self.camera_px = float(np.sqrt(np.clip(self.camera_px**2 + wanted, 0.0, 9.0)))


def fine_fit(lr: Image, hr: Image, mapping: Mapping, first_step: int) -> Fit:
    """The fit from a coarse mapping whose `box` is the common part.

    Args:
        first_step: LR pixels a pixel of the coarsest level; a power of 2.
    """
    pyramid = Pyramid(lr, hr, mapping)
    left, top, right, bottom = mapping.box
    finest = 1
    while (right - left) * (bottom - top) > LARGEST_FINE_PIXELS * finest**2:
        finest *= 2
    pyramid.planes(mapping, finest)  # coarser levels are made from this one
    steps = [max(first_step, finest)]
    while steps[-1] > finest:
        steps.append(steps[-1] // 2)
    fit = None
    for step in steps:
        for number in range(_STEPS):
            # The field waits until the lenses are about right.
            with_field = step == finest and number > 0
            fit = _improved(pyramid, mapping, step, with_field)
            pyramid.learn(fit)
            moved = np.abs(fit.mapping(grid_of(mapping.box)) - mapping(grid_of(mapping.box))).max()
            mapping = fit.mapping
            if moved < _STILL_PX * pyramid.ratio * step and number > 1:
                break
    assert fit is not None
    return replace(fit, tiles=_tiles(pyramid, mapping, finest))


def _level(levels: dict[int, Plane], image: Image, factor: int) -> Plane:
    """An image in linear light, shrunk: made once, from a finer level where one divides it."""
    if factor not in levels:
        finer = [known for known in levels if factor % known == 0]
        levels[factor] = (
            shrunk_again(levels[max(finer)], factor // max(finer))
            if finer
            else shrunk_light(image, factor)
        )
    return levels[factor]


def _tiles(pyramid: Pyramid, mapping: Mapping, step: int) -> TileFits:
    view = pyramid.view(mapping, step)
    return fit_tiles(view.lr, view.hr, view.usable, tile_px(*view.lr.shape))


def _improved(pyramid: Pyramid, mapping: Mapping, step: int, with_field: bool) -> Fit:
    """One robust step of all tiles together."""
    tiles = _tiles(pyramid, mapping, step)
    points = tiles.centres * step + np.array(mapping.box[:2])
    num = NUM_RIGID + (NUM_FIELD if with_field else 0)
    slopes = _slopes(mapping, points, num)
    wanted = tiles.shifts * step
    information = tiles.information / step**2
    weights = np.ones(len(points)) * tiles.usable
    change = np.zeros(num)
    weighted = information
    excess = 1.0
    for _ in range(8):
        weighted = information * (weights / excess)[:, None, None]
        change = _step(mapping, slopes, weighted, wanted).change
        left = wanted - slopes @ change
        surprise = np.einsum("ni,nij,nj->n", left, information, left) / 2
        size = np.linalg.norm(left, axis=1)
        known = tiles.usable
        if not known.any():
            break
        # Misfits of the pictures are no noise: the tiles' own scatter says what they are worth.
        excess = max(1.0, float(np.median(surprise[known])) / 0.69)
        reach = max(0.03 * step, 3 * float(np.median(size[known])))
        # On an edge a tile is far off along it, and still tells where it lies across.
        far = np.minimum((size / reach) ** 2, surprise / (9 * excess))
        weights = known / (1 + far) ** 2
    full = np.zeros(NUM_RIGID + NUM_FIELD)
    full[:num] = change
    return Fit(mapping.moved(full), tiles, weights, weighted, step, pyramid)


def _slopes(mapping: Mapping, points: Array, num: int) -> Array:
    """[n, 2, num]: change of LR's point that shows a point of HR with each parameter."""
    return np.linalg.inv(mapping.local_matrix(points)) @ mapping.sensitivity(points, num)


def _step(mapping: Mapping, slopes: Array, votes: Array, wanted: Array, alike: float = 1.0) -> Step:
    """What the tiles [n] want of the parameters."""
    rows = slopes.reshape(-1, slopes.shape[-1])
    weighted = (votes @ slopes).reshape(rows.shape)
    normal, pull = weighted.T @ rows, weighted.T @ wanted.ravel()
    return averaged_step(normal, pull, mapping.parameters[: len(pull)], alike)


def inside(places: NDArray[np.float32], shape: tuple[int, ...], margin: float) -> NDArray[np.bool_]:
    """Which of the places [h, w, 2] lie in a picture, `margin` from its edge. The outermost two
    rows and columns of places count as outside: blurs continue edges."""
    x, y = places[..., 0], places[..., 1]
    within = (x >= margin) & (y >= margin)
    within &= (x <= shape[1] - 1 - margin) & (y <= shape[0] - 1 - margin)
    middle = np.zeros_like(within)
    middle[2:-2, 2:-2] = True
    return within & middle


def grid_of(box: tuple[float, float, float, float], num: int = 7) -> Array:
    """[num * num, 2]: points spread over a box, its corners among them."""
    left, top, right, bottom = box
    x, y = np.meshgrid(np.linspace(left, right, num), np.linspace(top, bottom, num))
    return np.stack([x.ravel(), y.ravel()], 1)
