"""Markers at the corners of charts: which chart a photograph shows, and where (ArUco, of OpenCV).

Chart k has the markers 4k to 4k + 3, clockwise from the top left. What it shows begins `GAP` of a
marker's side beside the inner corner of each marker.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.mapping import Array

GAP = 0.3
"""Distance of a marker's inner corner from the chart's inside, as a share of its side."""
MOST_CHARTS = 25


class SeenChart(NamedTuple):
    """A chart in a photograph, all four markers of it."""

    number: int
    corners: Array
    """[16, 2]: the corners of its markers, in pixels."""

    def inside(self) -> Array:
        """[4, 2]: the corners of what the chart shows, clockwise from the top left."""
        markers = self.corners.reshape(4, 4, 2)
        inner = np.array([2, 3, 0, 1])  # of the corners of each marker
        kept = markers[np.arange(4), inner]
        return kept + GAP * (kept - markers[np.arange(4), (inner + 2) % 4])


def _dictionary() -> Any:
    """Markers of 4x4 squares, which are still read at a size of 20 pixels."""
    import cv2

    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_100)


def marker_image(number: int, side: int) -> NDArray[np.uint8]:
    """uint8 [side, side], black and white."""
    return np.asarray(_dictionary().generateImageMarker(number, side), np.uint8)


def seen_chart(grey: NDArray[np.uint8], factor: Array) -> SeenChart | None:
    """The chart in a picture uint8 [h, w], if it is whole. Its places are multiplied by `factor`
    [2], by which the picture was shrunk."""
    import cv2

    options = cv2.aruco.DetectorParameters()
    options.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    options.cornerRefinementWinSize = 3
    detector: Any = cv2.aruco.ArucoDetector(_dictionary(), options)
    found, numbers, _ = detector.detectMarkers(grey)
    if numbers is None:  # its stub does not know that it may find none
        return None
    # OpenCV's pixel centres are whole numbers.
    places = {
        int(number): (np.asarray(corners, np.float64).reshape(4, 2) + 0.5) * factor
        for number, corners in zip(np.ravel(numbers), found, strict=True)
    }
    for number in range(MOST_CHARTS):
        wanted = range(4 * number, 4 * number + 4)
        if all(marker in places for marker in wanted):
            return SeenChart(number, np.concatenate([places[marker] for marker in wanted]))
    return None
