"""A chart on a wall, photographed from near and from far."""

from __future__ import annotations

import cv2
import numpy as np

from ibsd.registration.light import Image, blurred, encoded, shrunk_light
from ibsd.registration.mapping import Mapping


def photographed(chart: Image) -> tuple[Image, Image, Mapping]:
    """(LR, HR, the mapping from LR to HR) at about half the size, seen from the side a little."""
    near = view(chart, (900, 1360), [(60, 50), (1290, 38), (1302, 838), (52, 824)])
    far = view(chart, (520, 760), [(85, 70), (690, 82), (684, 462), (78, 470)])
    draw = np.random.default_rng(0)
    light = shrunk_light(chart, 1)
    pictures: list[Image] = []
    for (matrix, size), sigma, gain in ((far, 1.3, 0.9), (near, 0.6, 1.0)):
        # Pixel centres are whole numbers for OpenCV, and halves for a mapping.
        shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        turned = cv2.warpPerspective(
            blurred(light, sigma),
            np.linalg.inv(shift) @ matrix @ shift,
            size[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0.2, 0.19, 0.18),
        )
        noisy = encoded(turned * gain) * 255 + draw.normal(0, 1.5, turned.shape)
        pictures.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    truth = Mapping.from_homography(near[0] @ np.linalg.inv(far[0]), far[1], near[1])
    return pictures[0], pictures[1], truth


def view(
    chart: Image, size: tuple[int, int], corners: list[tuple[int, int]]
) -> tuple[np.ndarray, tuple[int, int]]:
    """(the homography from the chart to a photograph, the photograph's size)"""
    height, width = chart.shape[:2]
    own = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = cv2.getPerspectiveTransform(own, np.array(corners, np.float32))
    return np.asarray(matrix, np.float64), size
