"""The coarse match finds a scene again, and nothing in two scenes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ibsd.data.samples import sample
from ibsd.registration.coarse import MIN_MATCHES, coarse_match, nearest

from .planted_scenes import still

pytestmark = pytest.mark.slow


def test_a_scene_is_found() -> None:
    scene = still()
    match = coarse_match(scene.lr, scene.hr)
    assert match.sufficient
    middle = np.array([scene.lr.shape[1] / 2, scene.lr.shape[0] / 2])
    found = match.homography @ [*middle, 1]
    assert np.linalg.norm(found[:2] / found[2] - scene.mapping(middle)) < 3


def test_sixteen_bits_are_eight_to_it() -> None:
    scene = still()
    deep = coarse_match(scene.lr.astype(np.uint16) * 257, scene.hr.astype(np.uint16) * 257)
    assert np.allclose(deep.homography, coarse_match(scene.lr, scene.hr).homography)


def test_two_scenes_and_a_wall_do_not_match() -> None:
    small = np.ascontiguousarray(sample("chelsea")[:150, :200])
    assert not coarse_match(small, sample("table")).sufficient
    wall = np.full((90, 120, 3), 120, np.uint8)
    assert coarse_match(wall, small).num_matches == 0


def test_a_small_blurred_picture_is_found_by_its_faint_features() -> None:
    hr = np.ascontiguousarray(sample("chelsea")[:256, :256])
    lr = cv2.resize(cv2.GaussianBlur(hr, (0, 0), 6), (64, 64), interpolation=cv2.INTER_AREA)
    match = coarse_match(np.asarray(lr, np.uint8), hr)
    assert match.sufficient and match.least < MIN_MATCHES
    found = match.homography @ [32, 32, 1]
    assert np.linalg.norm(found[:2] / found[2] - 128) < 4


def test_the_nearest_marks_are_those_of_opencv() -> None:
    draw = np.random.default_rng(0)
    marks, others = (draw.integers(0, 256, (num, 128)).astype(np.float32) for num in (701, 300))
    others[:40] = marks[:40]
    others[40:50] = others[:10]
    partners, ratios = nearest(marks, others)
    for row, (best, second) in enumerate(cv2.BFMatcher(cv2.NORM_L2).knnMatch(marks, others, k=2)):
        assert row < 10 or partners[row] == best.trainIdx
        expected = best.distance / second.distance if second.distance else 1.0
        assert ratios[row] == pytest.approx(expected, rel=1e-6)
