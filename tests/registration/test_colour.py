"""HR takes LR's colours."""

from __future__ import annotations

import numpy as np
import pytest

from ibsd.data.samples import sample
from ibsd.registration.colour import KNOTS, ColourMatch, match_colours
from ibsd.registration.light import blurred, encoded, shrunk_light

from .planted_scenes import registered_still

pytestmark = pytest.mark.slow


BOX = (0.0, 0.0, 100.0, 80.0)


def test_a_planted_curve_and_field_come_back() -> None:
    hr = np.ascontiguousarray(sample("brushes")[:80, :100])
    y, x = np.mgrid[:80, :100] + 0.5
    fall = 1 - 0.2 * ((x / 50 - 1) ** 2 + (y / 40 - 1) ** 2)[..., None]
    lr = np.clip(np.rint((hr / 255.0) ** 1.2 * 0.9 * fall * 255), 0, 255).astype(np.uint8)
    light = (shrunk_light(lr, 1), shrunk_light(hr, 1))
    match = match_colours(*light, np.ones((80, 100), bool), BOX)
    off = match.applied(hr, 0, 0, 1).astype(int) - lr
    assert np.sqrt((off**2).mean()) < 3
    assert (np.diff(match.curves) >= 0).all()


@pytest.mark.parametrize("tone", [0.87, 1.15])
def test_a_curve_that_bends_what_a_lens_has_blurred_comes_back_exactly(tone: float) -> None:
    hr = np.ascontiguousarray(sample("stream")[:160, :200])
    seen = blurred(shrunk_light(hr, 1), 1.0)
    lr = shrunk_light(np.rint(255 * encoded(seen) ** tone).astype(np.uint8), 1)
    match = match_colours(lr, seen, np.ones((160, 200), bool), (0.0, 0.0, 200.0, 160.0), tone)
    off = match.applied(hr, 0, 0, 1) - 255 * (hr / 255) ** tone
    assert abs(off.mean()) < 0.1
    assert np.sqrt((off**2).mean()) < 0.4  # 0.29 is rounding's


def test_nothing_changes_without_a_difference() -> None:
    match = ColourMatch(np.tile(KNOTS, (3, 1)), np.zeros(5), BOX)
    hr = np.ascontiguousarray(sample("brushes")[:80, :100])
    assert np.array_equal(match.applied(hr, 0, 0, 1), hr)
    assert np.array_equal(match.applied(hr.astype(np.uint16) * 257, 0, 0, 1), hr)


def test_gains_of_a_part_are_those_of_the_whole() -> None:
    match = ColourMatch(np.tile(KNOTS, (3, 1)), np.array([0.1, -0.05, -0.2, 0.03, -0.1]), BOX)
    whole = match.gains(0, 0, 100, 80, 1)
    assert match.gains(20, 30, 10, 5, 1) == pytest.approx(whole[30:35, 20:30])


def test_a_planted_camera_is_left_within_noise() -> None:
    assert registered_still().rest_levels()[1] < 3
