"""The coarse match of two photographs.

If both show a chart, its markers give the match. Otherwise features (SIFT) do, by the homography
that most of their matches agree on (MAGSAC++). Small pictures have few features: fainter and less
distinct ones then count, and fewer matches suffice for a similarity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibsd.images import to_eight_bits
from ibsd.registration.light import Image
from ibsd.registration.markers import seen_chart

LONGEST_SIDES_PX = (1400, 2800)
"""Photographs are shrunk to the first; to the second where the first finds too little."""
MIN_MATCHES = 15
"""Matches that must agree. Photographs of different scenes reach about 8."""
MIN_SIMILAR_MATCHES = 8
"""Matches that must agree on a similarity. Crops of different scenes reached 4 in 96 trials,
photographs 4 in 180 (`benchmarks/registration.py strangers`)."""
_MAX_FEATURES = 6000
_TOLERANCE_PX = 3.0
_ROWS = 500
"""Features of LR that are compared with all of HR at once."""


class _Search(NamedTuple):
    """What counts as a match of two features."""

    contrast: float
    """Least contrast of a feature."""
    ratio: float
    """Largest distance to the best partner, over that to the second best."""
    similarity: bool = False
    """Whether matches must agree on a similarity, not on a homography."""


_FIRST = _Search(0.015, 0.8)
FAINT = _Search(0.003, 0.9, similarity=True)
"""For an LR that is small: it has few features."""


class CoarseMatch(NamedTuple):
    """A homography between two photographs, and what speaks for it."""

    homography: NDArray[np.float64]
    """[3, 3] from LR pixels to HR pixels, corners of pictures at (0, 0) and (width, height)."""
    num_matches: int
    """Matches that agree with the homography."""
    num_features: tuple[int, int]
    """Numbers of features of LR and of HR."""
    charts: tuple[int, int] | None = None
    """Which chart LR and HR show, if both show a whole one."""
    inside: NDArray[np.float64] | None = None
    """[4, 2]: the corners of what the chart shows in LR, clockwise from the top left."""
    least: int = MIN_MATCHES
    """Matches that must agree."""

    @property
    def sufficient(self) -> bool:
        return self.num_matches >= self.least


def coarse_match(lr: Image, hr: Image) -> CoarseMatch:
    """The best homography from LR to HR. Look at `sufficient` before using it."""
    chart = _chart_match(lr, hr)
    if chart is not None:
        return chart
    first, second = LONGEST_SIDES_PX
    match = match_at(lr, hr, first)
    if max(*lr.shape, *hr.shape) > first and match.num_matches < 3 * MIN_MATCHES:
        closer = match_at(lr, hr, second)
        match = max(match, closer, key=lambda one: one.num_matches)
    if max(lr.shape) <= first and not match.sufficient:
        faint = match_at(lr, hr, first, FAINT)
        match = faint if faint.sufficient else match
    return match


def _chart_match(lr: Image, hr: Image) -> CoarseMatch | None:
    """By the markers of a chart: they need no detail around them, and do not take one repeated
    pattern for another."""
    import cv2

    near, far = LONGEST_SIDES_PX
    hr_chart = seen_chart(*_grey(hr, near))
    if hr_chart is None:
        return None
    lr_chart = seen_chart(*_grey(lr, near)) or seen_chart(*_grey(lr, far))
    if lr_chart is None:
        return None
    charts = lr_chart.number, hr_chart.number
    counts = len(lr_chart.corners), len(hr_chart.corners)
    if charts[0] != charts[1]:
        return CoarseMatch(np.eye(3), 0, counts, charts)
    matrix, _ = cv2.findHomography(lr_chart.corners, hr_chart.corners)
    inside = lr_chart.inside()
    return CoarseMatch(np.asarray(matrix, np.float64), counts[0], counts, charts, inside)


def match_at(lr: Image, hr: Image, side: int, search: _Search = _FIRST) -> CoarseMatch:
    """The match by features of both photographs, shrunk to `side` pixels at most."""
    import cv2

    lr_grey, lr_factor = _grey(lr, side)
    hr_grey, hr_factor = _grey(hr, side)
    sift = cv2.SIFT.create(nfeatures=_MAX_FEATURES, contrastThreshold=search.contrast)
    lr_points, lr_marks = _features(sift, lr_grey)
    hr_points, hr_marks = _features(sift, hr_grey)
    counts = (len(lr_points), len(hr_points))
    least = MIN_SIMILAR_MATCHES if search.similarity else MIN_MATCHES
    nothing = CoarseMatch(np.eye(3), 0, counts, least=least)
    if min(counts) < least:
        return nothing
    partners, ratios = nearest(lr_marks, hr_marks)
    good = ratios < search.ratio
    if good.sum() < least:
        return nothing
    source = lr_points[good] * lr_factor
    target = hr_points[partners[good]] * hr_factor
    tolerance = _TOLERANCE_PX * max(hr_factor)
    find: Any = cv2.estimateAffinePartial2D if search.similarity else cv2.findHomography
    method = cv2.RANSAC if search.similarity else cv2.USAC_MAGSAC
    # The stubs do not know that none may be found.
    matrix, agree = find(
        *(source, target),
        method=method,
        ransacReprojThreshold=tolerance,
        maxIters=5000,
        confidence=0.999,
    )
    if matrix is None:
        return nothing
    # Several LR features on one HR feature say it once.
    agreeing = {tuple(point) for point in np.round(target[agree.ravel() > 0], 1)}
    square = np.vstack([matrix, np.eye(3)[len(matrix) :]])
    return CoarseMatch(np.asarray(square, np.float64), len(agreeing), counts, least=least)


def nearest(
    marks: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each of `marks` [n, d] the number of the nearest of `others` [m, d], m > 1, and its
    distance over that of the second nearest. OpenCV's matcher takes five times as long.

    Products of SIFT's descriptors, whole numbers up to 255, are exact in float32.
    """
    squares = (others**2).sum(1)
    partners = np.empty(len(marks), np.intp)
    ratios = np.empty(len(marks))
    for start in range(0, len(marks), _ROWS):
        part = marks[start : start + _ROWS]
        rows = np.arange(len(part))
        far = squares - 2 * (part @ others.T)
        best = far.argmin(1)
        own = (part**2).sum(1)
        shortest = far[rows, best] + own
        far[rows, best] = np.inf
        second = far.min(1) + own
        partners[start : start + _ROWS] = best
        alike = np.ones(len(part))
        ratios[start : start + _ROWS] = np.sqrt(
            np.divide(shortest, second, out=alike, where=second > 0)
        )
    return partners, ratios


def _grey(image: Image, side: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """uint8 [h, w] of at most `side` pixels, and by how much it was shrunk in x and y."""
    import cv2

    height, width = image.shape[:2]
    shrink = max(1.0, max(height, width) / side)
    size = (round(width / shrink), round(height / shrink))
    grey = cv2.cvtColor(np.ascontiguousarray(to_eight_bits(image)), cv2.COLOR_RGB2GRAY)
    if shrink > 1:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8), np.array([width / size[0], height / size[1]])


def _features(sift: Any, grey: NDArray[np.uint8]) -> tuple[NDArray[np.float64], Any]:
    """Places [n, 2], of pixel corners, and descriptors."""
    points, marks = sift.detectAndCompute(grey, None)
    # OpenCV's pixel centres are whole numbers.
    return np.array([point.pt for point in points]).reshape(-1, 2) + 0.5, marks
