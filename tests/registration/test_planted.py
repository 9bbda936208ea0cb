"""Planted scenes: the LR camera sees what the mapping says."""

from __future__ import annotations

import numpy as np

from ibsd.data.samples import sample
from ibsd.registration.light import sampled, shrunk
from ibsd.registration.planted import PlantedCamera, plant

from .planted_scenes import moving


def test_without_a_lens_and_noise_lr_is_hr_where_the_mapping_points() -> None:
    camera = PlantedCamera(gain=0, gamma=0, vignetting=0, noise=0, blur_px=(0.0, 0.0))
    scene = plant(sample("table"), 2, 3, camera)
    height, width = scene.mapping.lr_size
    places = scene.mapping.pixel_map(0, 0, width, height, 1, 1)
    seen = sampled(scene.hr, places, "cubic").astype(int)
    # A cubic overshoots at edges, and light and sRGB do so differently.
    off = abs(seen - scene.lr)[10:-10, 10:-10]
    # The gain of each channel is drawn too.
    ratio = scene.lr[10:-10, 10:-10].astype(float).mean((0, 1)) / seen[10:-10, 10:-10].mean((0, 1))
    assert abs(ratio - 1).max() < 0.04
    assert np.median(off) <= 4


def test_a_seed_is_a_scene() -> None:
    one, same, other = (plant(sample("table"), 2, seed) for seed in (3, 3, 4))
    assert np.array_equal(one.lr, same.lr)
    assert not np.array_equal(one.lr, other.lr)


def test_moved_objects_are_a_small_part() -> None:
    scene = moving()
    assert scene.moved.shape == scene.lr.shape[:2]
    assert 0.01 < scene.moved.mean() < 0.2


def test_the_aligned_hr_lies_and_looks_as_lr_does() -> None:
    """Its shrunk form is LR, and no longer when it is moved by one LR pixel."""
    camera = PlantedCamera(noise=0, blur_px=(0.3, 0.3))
    scene = plant(sample("table"), 2, 3, camera)
    small = shrunk(scene.aligned(2), 2).astype(int)
    assert small.shape == scene.lr.shape

    def off(moved: int) -> float:
        seen = np.roll(small, moved, axis=1)
        return float(abs(seen - scene.lr)[10:-10, 10:-10].mean())

    assert off(0) < 2 and off(1) > 2 * off(0) and off(-1) > 2 * off(0)
