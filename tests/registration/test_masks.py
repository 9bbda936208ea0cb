"""What moved, is out of focus or saturated is found, and little else."""

from __future__ import annotations

import pytest

from ibsd.registration.light import blurred
from ibsd.registration.masks import Reason
from ibsd.registration.planted import plant
from ibsd.registration.scene import register_pair

from .planted_scenes import moving, part_of, registered_moving, registered_still, still

pytestmark = pytest.mark.slow


def test_moved_objects() -> None:
    registered = registered_moving()
    left, top, right, bottom = registered.box
    moved = moving().moved[top:bottom, left:right]
    masked = registered.reasons == Reason.MOVED
    within = registered.reasons != Reason.OUTSIDE
    assert masked[moved & within].mean() > 0.9
    assert (registered.reasons[~moved & within] != Reason.GOOD).mean() < 0.1


def test_a_still_scene_is_kept() -> None:
    shares = registered_still().shares()
    assert shares[Reason.GOOD.words] > 0.88
    assert shares.get(Reason.MOVED.words, 0) < 0.02


def test_a_part_out_of_focus() -> None:
    scene = still()
    half = scene.lr.shape[1] // 2
    lr = scene.lr.copy()
    lr[:, :half] = blurred(scene.lr, 2.2)[:, :half]
    reasons = register_pair(lr, scene.hr, 3).reasons
    middle = reasons.shape[1] // 2
    bad = (reasons == Reason.BLURRED) | (reasons == Reason.MOVED)
    assert bad[:, 10 : middle - 20].mean() > 0.5
    assert bad[:, middle + 20 : -10].mean() < 0.15


def test_saturation() -> None:
    bright = part_of("brushes").copy()
    bright[120:260, 140:300] = 255
    scene = plant(bright, 2, 1)
    reasons = register_pair(scene.lr, scene.hr, 2).reasons
    assert (reasons == Reason.SATURATED).mean() > 0.05
