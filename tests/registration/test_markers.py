"""A chart is found by its markers, which say which one it is and where its inside begins."""

from __future__ import annotations

import numpy as np
import pytest

from ibsd.data.samples import sample
from ibsd.registration.charts import draw_chart
from ibsd.registration.coarse import coarse_match
from ibsd.registration.markers import SeenChart, seen_chart
from ibsd.registration.scene import RefusedError, coarse_mapping, corners, register_pair

from .planted_charts import photographed

pytestmark = pytest.mark.slow


def seen(image: np.ndarray) -> SeenChart | None:
    return seen_chart(np.ascontiguousarray(image[..., 1]), np.ones(2))


def test_the_inside_is_where_the_markers_say() -> None:
    chart = draw_chart(7, [sample("stream")], 800, 600)
    # Between the markers the margins are white.
    rows = np.flatnonzero((chart[:, 400] < 255).any(1))
    columns = np.flatnonzero((chart[300] < 255).any(1))
    found = seen(chart)
    assert found is not None and found.number == 7
    low, high = found.inside().min(0), found.inside().max(0)
    assert low == pytest.approx([columns[0], rows[0]], abs=1.5)
    assert high == pytest.approx([columns[-1] + 1, rows[-1] + 1], abs=1.5)


def test_a_hidden_marker_is_missed() -> None:
    chart = draw_chart(0, [sample("stream")], 800, 600)
    chart[:100, :100] = 0
    assert seen(chart) is None
    assert seen(sample("stream")) is None


def test_a_chart_from_two_distances_is_registered() -> None:
    chart = draw_chart(3, [sample("brushes"), sample("dogs")], 1280, 800)
    lr, hr, truth = photographed(chart)
    match = coarse_match(lr, hr)
    assert match.charts == (3, 3) and match.inside is not None
    registered = register_pair(lr, hr, 2, match)
    left, top, right, bottom = registered.box
    assert (left, top) >= tuple(match.inside.min(0) - 1)
    assert (right, bottom) <= tuple(match.inside.max(0) + 1)
    points = corners(registered.coarse.box)
    off = registered.fit.mapping(points) - truth(points)
    inverse = np.linalg.inv(truth.local_matrix(points))
    error = np.linalg.norm(np.einsum("nij,nj->ni", inverse, off), axis=1)
    assert error.mean() < 0.1, error


def test_two_charts_are_two_scenes() -> None:
    one, other = (draw_chart(number, [sample("dogs")], 800, 600) for number in (1, 2))
    with pytest.raises(RefusedError, match="different scenes: chart 1 and chart 2"):
        coarse_mapping(one, other, coarse_match(one, other))
