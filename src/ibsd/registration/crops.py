"""Pairs cut from a registered scene: LR as it is, and HR sampled once where LR's pixels lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibsd.images import to_eight_bits
from ibsd.registration.light import Image, blurred, sampled
from ibsd.registration.masks import Reason
from ibsd.registration.scene import Registered

MOST_BAD = 0.02
"""Share of a crop that may be masked."""
LEAST_CONTRAST = 3.0
"""Standard deviation of a crop's levels of 255, as the doctor wants it."""
_OFFSETS = 4


class Place(NamedTuple):
    """Top left corner of a crop, in LR pixels."""

    top: int
    left: int


class Crops(NamedTuple):
    places: list[Place]
    dropped: dict[str, int]
    """{why: crops of the same grid that are left out}."""


def choose_crops(registered: Registered, lr: Image, side: int, most: int = 0) -> Crops:
    """Where crops of `side` LR pixels lie: on the grid that holds most good ones, and of these at
    most `most` (0: all), spread over the scene."""
    import cv2

    left, top, right, bottom = registered.box
    step = registered.fit.step
    reasons = registered.reasons.repeat(step, 0).repeat(step, 1)
    height = min(bottom - top, reasons.shape[0])
    width = min(right - left, reasons.shape[1])
    pixels = to_eight_bits(lr[top : top + height, left : left + width])
    levels = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), np.uint8)
    best = Crops([], {})
    if side > min(height, width):
        return Crops([], {f"larger than the common part, {width}x{height} LR pixels": 1})
    for number in range(_OFFSETS**2):
        down, across = divmod(number, _OFFSETS)
        free = height % side, width % side
        start = down * free[0] // (_OFFSETS - 1), across * free[1] // (_OFFSETS - 1)
        crops = _on_grid(reasons[:height, :width], levels, side, start)
        if len(crops.places) > len(best.places) or not number:
            best = crops
    places = [Place(place.top + top, place.left + left) for place in best.places]
    return Crops(spread(places, most) if most else places, best.dropped)


def _on_grid(
    reasons: NDArray[np.uint8], levels: NDArray[np.uint8], side: int, start: tuple[int, int]
) -> Crops:
    import cv2

    assert Reason.GOOD == 0
    crops = Crops([], {})
    for top in range(start[0], reasons.shape[0] - side + 1, side):
        for left in range(start[1], reasons.shape[1] - side + 1, side):
            window = (slice(top, top + side), slice(left, left + side))
            part = reasons[window]
            if cv2.countNonZero(part) > MOST_BAD * side**2:
                kinds = np.bincount(part.ravel(), minlength=len(Reason))[1:]
                why = Reason(int(kinds.argmax()) + 1).words
            elif cv2.meanStdDev(levels[window])[1].item() < LEAST_CONTRAST:
                why = "flat"
            else:
                crops.places.append(Place(top, left))
                continue
            crops.dropped[why] = crops.dropped.get(why, 0) + 1
    return crops


def spread(places: list[Place], most: int) -> list[Place]:
    """At most `most` of the places, each next one as far as can be from those before."""
    if len(places) <= most:
        return places
    points = np.array(places, np.float64)
    chosen = [int(np.linalg.norm(points - points.mean(0), axis=1).argmin())]
    far = np.full(len(points), np.inf)
    while len(chosen) < most:
        far = np.minimum(far, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(far.argmax()))
    return [places[index] for index in sorted(chosen)]


def cut(
    registered: Registered, lr: Image, hr: Image, places: list[Place], side: int
) -> Iterator[tuple[Place, NDArray[np.uint8], NDArray[np.uint8]]]:
    """(place, LR uint8 [side, side, 3], HR uint8 [s * side, s * side, 3]) one after the other."""
    source = smoothed_for_scale(registered, hr)
    for place in places:
        pixels = to_eight_bits(lr[place.top : place.top + side, place.left : place.left + side])
        moved = resampled(registered, source, place, side * registered.scale, registered.scale)
        yield place, np.ascontiguousarray(pixels, np.uint8), moved


def smoothed_for_scale(registered: Registered, hr: Image) -> Image:
    """HR, blurred where it is shrunk to the scale, so that no false patterns arise."""
    shrink = registered.ratio / registered.scale
    sigma = 0.5 * float(np.sqrt(max(shrink**2 - 1, 0.0)))
    return hr if sigma < 0.2 else blurred(hr, sigma)


def resampled(
    registered: Registered, hr: Image, place: Place, side: int, scale: int
) -> NDArray[np.uint8]:
    """HR uint8 [side, side, 3] from LR's place on, `scale` pixels for one of LR's, in LR's
    colours."""
    mapping = registered.fit.mapping
    places = mapping.pixel_map(place.left, place.top, side, side, 1 / scale, 1)
    # OpenCV takes a picture of up to 32,767 pixels a side: only the part that is seen is given.
    # A mapping does not fold, so that the edge of a crop bounds it.
    edge = np.concatenate([places[0], places[-1], places[:, 0], places[:, -1]])
    low = np.maximum(np.floor(edge.min(0)) - 8, 0).astype(int)
    high = np.ceil(edge.max(0)).astype(int) + 9
    part = hr[low[1] : high[1], low[0] : high[0]]
    moved = sampled(part, places - low.astype(np.float32), "lanczos")
    return registered.colours.applied(moved, place.left, place.top, 1 / scale)
