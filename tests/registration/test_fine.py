"""The fine fit lies on the truth, and knows how well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ibsd.registration.fine import inside
from ibsd.registration.scene import corners

from .planted_scenes import corner_error, registered_moving, registered_still, still

pytestmark = pytest.mark.slow


def test_corners_to_a_hundredth_of_a_pixel() -> None:
    """And far better than the coarse match."""
    registered = registered_still()
    assert corner_error(still(), registered) < 0.01
    assert registered.fit.pyramid.tone == pytest.approx(still().look.gamma, abs=0.03)
    points = corners(registered.coarse.box)
    assert np.linalg.norm(registered.coarse(points) - still().mapping(points), axis=1).mean() > 1


def test_the_corners_are_known_less_well_than_the_middle() -> None:
    fit = registered_still().fit
    left, top, right, bottom = fit.mapping.box
    middle = np.array([[(left + right) / 2, (top + bottom) / 2]])
    assert 0 < fit.spread_px(middle)[0] < fit.spread_px(corners(fit.mapping.box)).min()


def test_an_error_that_neighbours_share_is_seen() -> None:
    fit = registered_still().fit
    points = corners(fit.mapping.box)
    shifts = fit.tiles.shifts.copy()
    quarter = (fit.tiles.centres < np.median(fit.tiles.centres, axis=0)).all(1)
    shifts[quarter] += 0.1
    shared = replace(fit, tiles=fit.tiles._replace(shifts=shifts))
    assert shared.spread_px(points).mean() > 1.5 * fit.spread_px(points).mean()


def test_tiles_that_moved_are_not_believed() -> None:
    fit = registered_moving().fit
    assert fit.weights.min() < 0.2 < 0.6 < np.median(fit.weights[fit.tiles.usable])


def test_inside_keeps_its_margin() -> None:
    x, y = np.meshgrid(np.arange(20.0), np.arange(10.0))
    places = np.stack([x, y], -1).astype(np.float32)
    kept = inside(places, (10, 20), 3)
    assert kept.sum() == 4 * 14 and kept[3:7, 3:17].all()
