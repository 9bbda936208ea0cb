"""Planted scenes: an LR photograph made from an HR photograph by a camera whose every part is
known, so that a registration can be checked against the truth.

The LR camera looks through a random homography and a lens with radial distortion, blurs, has
another exposure for each channel, vignetting, another tone curve and noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.light import Image, Plane, blurred, encoded, sampled, shrunk_light
from ibsd.registration.mapping import Mapping
from ibsd.types import Scale


@dataclass(frozen=True)
class PlantedCamera:
    """How strongly the LR camera differs. Each value is the largest of a uniform draw."""

    turn_degrees: float = 2.0
    perspective: float = 0.02
    """How far each corner moves, as a share of the picture's side."""
    ratio: float = 0.06
    """Share by which the magnification is off the scale."""
    radial: float = 0.05
    """k1 of LR's lens, over half the diagonal."""
    gain: float = 0.2
    gamma: float = 0.15
    vignetting: float = 0.3
    """Share of light lost in the corners."""
    noise: float = 2.5
    """Standard deviation in levels of 255."""
    blur_px: tuple[float, float] = (0.35, 0.8)
    """Smallest and largest standard deviation, in LR pixels."""


@dataclass(frozen=True)
class Look:
    """How LR's camera renders light."""

    exposure: NDArray[np.float64]
    """[3]: gain of each channel."""
    vignetting: float
    """Share of light lost in the corners."""
    gamma: float

    def levels(self, light: Plane) -> Plane:
        """Linear light [h, w, 3] of the whole picture -> sRGB in [0, 255]."""
        height, width = light.shape[:2]
        y, x = np.mgrid[:height, :width] + 0.5
        square = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width**2 + height**2) * 4
        seen = light * self.exposure * (1 - self.vignetting * square)[..., None]
        return encoded(seen) ** self.gamma * 255


@dataclass(frozen=True)
class PlantedScene:
    """Two photographs and the truth."""

    lr: Image
    hr: Image
    mapping: Mapping
    """The true mapping from LR to HR."""
    look: Look
    moved: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    """[h, w] of LR: what shows something else in HR."""

    def aligned(self, scale: Scale) -> Image:
        """HR where LR's pixels lie, `scale` for one, in LR's colours: what a registration should
        find. uint8 [scale * h, scale * w, 3]."""
        height, width = (scale * side for side in self.mapping.lr_size)
        places = self.mapping.pixel_map(0, 0, width, height, 1 / scale, 1)
        light = shrunk_light(sampled(self.hr, places, "lanczos"), 1)
        return np.clip(np.round(self.look.levels(light)), 0, 255).astype(np.uint8)


def plant(
    photograph: Image,
    scale: Scale,
    seed: int,
    camera: PlantedCamera | None = None,
    other: Image | None = None,
) -> PlantedScene:
    """A scene from a sharp photograph, uint8 [H, W, 3], which is HR but for noise.

    Args:
        other: a photograph from which objects are cut that stand elsewhere in LR than in HR.
    """
    camera = camera or PlantedCamera()
    draw = np.random.default_rng(seed)
    hr = photograph.copy()
    height, width = (int(side / scale * 1.1) for side in hr.shape[:2])
    mapping = _drawn_mapping((height, width), hr.shape[:2], scale, camera, draw)
    scene = hr.copy()
    moved = np.zeros((height, width), bool)
    if other is not None:
        scene, hr, moved = _with_objects(hr, other, mapping, (height, width), draw)
    lr, look = _photographed(scene, mapping, scale, camera, draw)
    return PlantedScene(lr, _noisy(hr, camera.noise / 3, draw), mapping, look, moved)


def _drawn_mapping(
    lr_size: tuple[int, int],
    hr_size: tuple[int, ...],
    scale: Scale,
    camera: PlantedCamera,
    draw: np.random.Generator,
) -> Mapping:
    import cv2

    height, width = lr_size
    corners = np.array([[0.0, 0], [width, 0], [width, height], [0, height]])
    turn = np.radians(draw.uniform(-1, 1) * camera.turn_degrees)
    ratio = scale * (1 + draw.uniform(-1, 1) * camera.ratio)
    matrix = ratio * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([hr_size[1], hr_size[0]]) / 2 + draw.uniform(-2, 2, 2) * scale
    target = (corners - [width / 2, height / 2]) @ matrix.T + middle
    target += draw.uniform(-1, 1, (4, 2)) * camera.perspective * min(hr_size[:2])
    homography = cv2.getPerspectiveTransform(corners.astype(np.float32), target.astype(np.float32))
    start = Mapping.from_homography(
        np.asarray(homography, np.float64), lr_size, (hr_size[0], hr_size[1])
    )
    step = np.zeros_like(start.parameters)
    step[8] = draw.uniform(-1, 1) * camera.radial
    step[9] = draw.uniform(-1, 1) * camera.radial / 5
    return start.moved(step)


def _photographed(
    scene: Image, mapping: Mapping, scale: Scale, camera: PlantedCamera, draw: np.random.Generator
) -> tuple[Image, Look]:
    height, width = mapping.lr_size
    sigma = draw.uniform(*camera.blur_px) * scale
    light = blurred(shrunk_light(scene, 1), sigma)
    places = mapping.pixel_map(0, 0, width, height, 1, 1)
    seen = sampled(light, places, "cubic")
    exposure = (1 + draw.uniform(-1, 1) * camera.gain) * (1 + draw.uniform(-1, 1, 3) * 0.05)
    vignetting = draw.uniform(0, camera.vignetting)
    look = Look(exposure, vignetting, 1 + draw.uniform(-1, 1) * camera.gamma)
    return _noisy(look.levels(seen), camera.noise * draw.uniform(0.3, 1), draw), look


def _noisy(levels: NDArray[Any], noise: float, draw: np.random.Generator) -> Image:
    values = levels + draw.normal(0, noise, levels.shape)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _with_objects(
    hr: Image,
    other: Image,
    mapping: Mapping,
    lr_size: tuple[int, int],
    draw: np.random.Generator,
) -> tuple[Image, Image, NDArray[np.bool_]]:
    """(what LR's camera sees, HR, mask of LR) with three objects that moved between the two."""
    import cv2

    scenes = [hr.copy(), hr.copy()]
    touched = np.zeros(hr.shape[:2], np.uint8)
    height, width = hr.shape[:2]
    for _ in range(3):
        side = int(min(height, width, *other.shape[:2]) * draw.uniform(0.1, 0.16))
        top, left = (draw.integers(0, length - side) for length in other.shape[:2])
        patch = other[top : top + side, left : left + side]
        disc = np.zeros((side, side), np.uint8)
        cv2.circle(disc, (side // 2, side // 2), side // 2 - 1, 1, -1)
        for scene in scenes:
            y, x = (
                int(draw.integers(side // 2, length - 3 * side // 2)) for length in (height, width)
            )
            place = (slice(y, y + side), slice(x, x + side))
            scene[place] = np.where(disc[..., None] > 0, patch, scene[place])
            touched[place] |= disc
    places = mapping.pixel_map(0, 0, lr_size[1], lr_size[0], 1, 1)
    mask = sampled(touched * np.uint8(255), places)
    return scenes[1], scenes[0], mask > 127
