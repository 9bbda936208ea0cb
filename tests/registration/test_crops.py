"""Crops hold LR's own pixels, and HR that fits them."""

from __future__ import annotations

import numpy as np
import pytest

from ibsd.doctor.alignment import measure_misalignment
from ibsd.registration.crops import Place, choose_crops, cut, spread
from ibsd.registration.masks import Reason

from .planted_scenes import moving, registered_moving, registered_still, still

pytestmark = pytest.mark.slow


def test_lr_is_kept_and_the_doctor_finds_hr_aligned() -> None:
    registered, scene = registered_still(), still()
    crops = choose_crops(registered, scene.lr, 64, most=2)
    assert len(crops.places) == 2
    for place, lr, hr in cut(registered, scene.lr, scene.hr, crops.places, 64):
        top, left = place
        assert np.array_equal(lr, scene.lr[top : top + 64, left : left + 64])
        assert hr.shape == (192, 192, 3)
        misalignment = measure_misalignment(lr, hr, 3)
        assert misalignment.shift_px < 0.08 and abs(misalignment.degrees) < 0.08
        assert max(abs(gain - 1) for gain in misalignment.gain) < 0.08


def test_sixteen_bits_give_the_same() -> None:
    registered, scene = registered_still(), still()
    places = choose_crops(registered, scene.lr, 64, most=1).places
    deep = [image.astype(np.uint16) * 257 for image in (scene.lr, scene.hr)]
    [(_, lr, hr)] = cut(registered, scene.lr, scene.hr, places, 64)
    [(_, deep_lr, deep_hr)] = cut(registered, deep[0], deep[1], places, 64)
    assert np.array_equal(lr, deep_lr)
    assert abs(hr.astype(int) - deep_hr).max() <= 1


def test_no_crop_lies_on_what_moved() -> None:
    registered = registered_moving()
    crops = choose_crops(registered, moving().lr, 48)
    left, top = registered.box[:2]
    assert crops.places and crops.dropped
    taken = np.zeros(registered.reasons.shape, int)
    for place in crops.places:
        window = np.s_[place.top - top :, place.left - left :]
        assert (registered.reasons[window][:48, :48] != Reason.GOOD).mean() <= 0.02
        taken[window][:48, :48] += 1
    assert taken.max() == 1
    [why] = choose_crops(registered, moving().lr, 4000).dropped
    assert why.startswith("larger than the common part")


def test_a_few_are_spread() -> None:
    line = [Place(0, 10 * number) for number in range(9)]
    assert spread(line, 3) == [Place(0, 0), Place(0, 40), Place(0, 80)]
    assert spread(line, 20) == line
