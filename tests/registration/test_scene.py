"""A scene is registered, or refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from ibsd.data.samples import sample
from ibsd.registration.coarse import coarse_match
from ibsd.registration.mapping import Mapping
from ibsd.registration.masks import Reason
from ibsd.registration.planted import plant
from ibsd.registration.scene import (
    SURE_PX,
    RefusedError,
    checked_scale,
    chosen_scale,
    coarse_mapping,
    common_box,
    register_pair,
)

from .planted_scenes import corner_error, part_of, registered_still, still

pytestmark = pytest.mark.slow


def test_the_scale_is_measured() -> None:
    registered = registered_still()
    assert registered.scale == 3
    assert registered.ratio == pytest.approx(3, rel=0.1)
    assert registered.correlation > 0.98 and registered.corner_px < SURE_PX
    assert [chosen_scale(ratio) for ratio in (1.6, 2.6, 4.4)] == [2, 3, 4]


def of_ratio(ratio: float) -> Mapping:
    size = (200, 300)
    return Mapping.from_homography(
        np.diag([ratio, ratio, 1.0]), size, (int(200 * ratio), int(300 * ratio))
    )


def test_a_ratio_far_from_the_scale_is_refused() -> None:
    assert checked_scale(of_ratio(2.4), None) == 2
    with pytest.raises(RefusedError, match=r"2\.40 times as large as LR, too far from x4"):
        checked_scale(of_ratio(2.4), 4)
    with pytest.raises(RefusedError, match="swapped"):
        checked_scale(of_ratio(0.5), None)


def test_the_common_part_lies_in_both() -> None:
    matrix = np.array([[2.0, 0.0, -40.0], [0.0, 2.0, 30.0], [0.0, 0.0, 1.0]])
    left, top, right, bottom = common_box(Mapping.from_homography(matrix, (100, 150), (190, 300)))
    assert (left, top) == pytest.approx((20, 0), abs=3)
    assert (right, bottom) == pytest.approx((150, 80), abs=3)


def test_other_scenes_and_walls_are_refused() -> None:
    lr = np.ascontiguousarray(sample("chelsea")[:150, :200])
    with pytest.raises(RefusedError, match="different scenes"):
        register_pair(lr, sample("table"))
    wall = np.full((90, 120, 3), 120, np.uint8)
    with pytest.raises(RefusedError, match="LR shows too little detail, as a flat wall"):
        register_pair(wall, lr)


def test_a_small_common_part_is_refused() -> None:
    scene = still()
    match = coarse_match(scene.lr, scene.hr)
    part = np.ascontiguousarray(scene.lr[:, :40])
    with pytest.raises(RefusedError, match="share 2"):
        coarse_mapping(part, scene.hr, match)


def test_a_part_that_shows_nothing_spoils_no_other() -> None:
    photograph = part_of("brushes").copy()
    photograph[:, 140:] = 128
    scene = plant(photograph, 2, seed=1)
    whole, registered = (register_pair(scene.lr, scene.hr, 2, sure_px=px) for px in (np.inf, 0.02))
    assert whole.part == whole.fit.mapping.box and whole.corner_px > 0.02 > registered.corner_px
    assert registered.part[0] < 40 and registered.part[2] < 0.8 * whole.part[2]
    assert (registered.reasons[:, -5:] == Reason.UNSURE).all()
    assert (registered.reasons[20:-20, 20:80] != Reason.UNSURE).all()
    assert corner_error(scene, registered) < corner_error(scene, whole)


@pytest.mark.slow
def test_a_picture_of_two_halves_is_refused() -> None:
    """Half of LR shows the scene elsewhere: no one mapping fits."""
    scene = still()
    torn = scene.lr.copy()
    half = torn.shape[1] // 2
    torn[:, half:] = np.roll(scene.lr, 9, 0)[:, half:]
    torn[: torn.shape[0] // 2] = np.roll(torn, 7, 1)[: torn.shape[0] // 2]
    with pytest.raises(RefusedError):
        register_pair(torn, scene.hr, 3)
