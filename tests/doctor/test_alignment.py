"""Planted shifts, rotations and colours are found again; moving by what was found undoes nothing
and invents nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ibsd.data.camera_like import camera_like
from ibsd.data.linear_light import to_linear, to_srgb
from ibsd.data.samples import sample
from ibsd.doctor.alignment import Misalignment, displaced, measure_misalignment
from ibsd.images.rgb import to_array, to_tensor

MARGIN_PX = 12
"""LR pixels cut on each side, so that no continued edge takes part."""
WITHIN_PX, WITHIN_DEGREES = 0.05, 0.05


def planted(
    name: str, scale: int, found: Misalignment, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(LR, HR): LR as a camera makes it of HR moved as `found` says, with blur, noise and JPEG."""
    hr = sample(name)
    height, width = (min(side // scale, 160) * scale for side in hr.shape[:2])
    hr = hr[:height, :width]
    lr = to_array(
        camera_like(
            to_tensor(displaced(hr, found, scale)), scale, torch.Generator().manual_seed(seed)
        )
    )
    cut = MARGIN_PX * scale
    return lr[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX], hr[cut:-cut, cut:-cut]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["coffee", "stream", "dandelion", "rocket"])
@pytest.mark.slow
def test_planted_misalignments_are_found(name: str, scale: int):
    generator = np.random.default_rng([scale, len(name)])
    down, right = generator.uniform(-2, 2, 2)
    truth = Misalignment(down, right, generator.uniform(-0.7, 0.7))
    found = measure_misalignment(*planted(name, scale, truth), scale)
    assert math.hypot(found.down_px - down, found.right_px - right) < WITHIN_PX
    assert abs(found.degrees - truth.degrees) < WITHIN_DEGREES
    assert found.correlation > 0.99


@pytest.mark.parametrize("down", [-8.0, 11.0])
def test_large_shifts_are_found(down: float):
    found = measure_misalignment(*planted("brushes", 2, Misalignment(down, 9.3, 0.0)), 2)
    assert abs(found.down_px - down) < WITHIN_PX
    assert abs(found.right_px - 9.3) < WITHIN_PX


def test_an_aligned_pair_is_aligned():
    hr = sample("table")[:240, :240]
    found = measure_misalignment(
        to_array(to_srgb(torch.nn.functional.avg_pool2d(to_linear(to_tensor(hr)), 4))), hr, 4
    )
    assert found.shift_px < 0.01
    assert abs(found.degrees) < 0.02


def test_the_gain_of_each_channel_is_found():
    """In linear light, where exposure and white balance are factors."""
    gains = (0.8, 0.9, 0.7)
    hr = sample("stream")[:240, :240]
    light = torch.nn.functional.avg_pool2d(to_linear(to_tensor(hr)), 2) * torch.tensor(gains).view(
        1, 3, 1, 1
    )
    assert measure_misalignment(to_array(to_srgb(light)), hr, 2).gain == pytest.approx(
        gains, abs=0.02
    )


def test_moving_by_whole_pixels_is_a_roll():
    hr = sample("coffee")[:96, :96]
    moved = displaced(hr, Misalignment(0.5, -1.0, 0.0), 4)  # HR pixels: 2 down, 4 left
    assert np.array_equal(moved[2:, :-4], hr[:-2, 4:])
    assert np.array_equal(displaced(hr, Misalignment(0.0, 0.0, 0.0), 4), hr)


def test_a_quarter_turn_is_one():
    hr = sample("coffee")[:96, :96]
    assert np.array_equal(
        displaced(hr, Misalignment(0.0, 0.0, 90.0), 4), np.rot90(hr, -1)
    )  # clockwise, as seen


def test_unrelated_pictures_do_not_correlate():
    hr = sample("coffee")[:240, :240]
    other = to_array(torch.nn.functional.avg_pool2d(to_tensor(sample("stream")[:240, :240]), 4))
    assert measure_misalignment(other, hr, 4).correlation < 0.75


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_are_no_error(level: int):
    found = measure_misalignment(
        np.full((16, 20, 3), level, np.uint8), np.full((32, 40, 3), level, np.uint8), 2
    )
    assert found.correlation <= 0
    assert not any(math.isfinite(gain) for gain in found.gain)


@pytest.mark.parametrize("size", [(8, 8), (8, 30), (9, 13)])
def test_the_smallest_pictures_are_no_error(size: tuple[int, int]):
    generator = np.random.default_rng(0)
    lr = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    assert -1 <= measure_misalignment(lr, lr.repeat(3, 0).repeat(3, 1), 3).correlation <= 1
