"""Laws of mappings: a homography is one, differences are slopes, a pixel map is the mapping."""

from __future__ import annotations

import numpy as np
import pytest

from ibsd.registration.mapping import NUM_FIELD, NUM_RIGID, Mapping

LR = (90, 120)
HR = (200, 260)


def drawn(field: float = 0.0) -> Mapping:
    draw = np.random.default_rng(0)
    matrix = np.array([[2.1, 0.05, 3.0], [-0.04, 2.0, 5.0], [1e-4, -2e-4, 1.0]])
    mapping = Mapping.from_homography(matrix, LR, HR)
    step = np.zeros(NUM_RIGID + NUM_FIELD)
    step[8:NUM_RIGID] = 0.03, -0.01, 0.02
    step[NUM_RIGID:] = draw.normal(0, field, NUM_FIELD)
    return mapping.moved(step)


def test_without_lens_and_field_it_is_the_homography() -> None:
    matrix = np.array([[2.1, 0.05, 3.0], [-0.04, 2.0, 5.0], [1e-4, -2e-4, 1.0]])
    mapping = Mapping.from_homography(matrix, LR, HR)
    for x, y in ((0.0, 0.0), (120.0, 0.0), (33.0, 71.0)):
        wanted = matrix @ [x, y, 1.0]
        assert mapping(np.array([x, y])) == pytest.approx(wanted[:2] / wanted[2])


def test_the_lens_keeps_its_centre() -> None:
    mapping = Mapping.from_homography(np.diag([2.0, 2.0, 1.0]), LR, (180, 240))
    bent = mapping.moved(np.eye(NUM_RIGID + NUM_FIELD)[8] * 0.1)
    centre = np.array([60.0, 45.0])
    assert bent(centre) == pytest.approx(mapping(centre))
    # k1 = 0.1 moves the corner, at radius 1, by a tenth of the half diagonal.
    corner = np.zeros(2)
    assert bent(corner) - mapping(corner) == pytest.approx([-12.0, -9.0])


def test_slopes_are_differences() -> None:
    mapping = drawn(0.5)
    points = np.array([[20.0, 30.0], [100.0, 80.0]])
    nudge = np.full(NUM_RIGID + NUM_FIELD, 1e-4)
    slopes = mapping.sensitivity(points, len(nudge))
    assert slopes @ nudge == pytest.approx(mapping.moved(nudge)(points) - mapping(points), abs=1e-4)
    shift = np.array([0.01, -0.02])
    moved = mapping(points + shift) - mapping(points)
    assert mapping.local_matrix(points) @ shift == pytest.approx(moved, abs=1e-4)


@pytest.mark.parametrize(("step", "shrink"), [(1.0, 1), (2.0, 2), (0.25, 1)])
def test_a_pixel_map_is_the_mapping(step: float, shrink: int) -> None:
    mapping = drawn(0.02)
    places = mapping.pixel_map(7, 5, 33, 21, step, shrink)
    x, y = np.meshgrid(7 + step * (np.arange(33) + 0.5), 5 + step * (np.arange(21) + 0.5))
    wanted = mapping(np.stack([x, y], -1).astype(np.float64)) / shrink - 0.5
    assert places.shape == (21, 33, 2)
    assert abs(places - wanted).max() < 0.03
