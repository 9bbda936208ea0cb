"""The information plane keeps the order of steps and passes over what is not there."""

from __future__ import annotations

from ibsd.reporting.curves import Series, chart
from ibsd.reporting.information_plane import information_plane


def test_one_path_per_link_in_order_of_steps() -> None:
    rows = [
        {"step": 100, "term/l1": 0.1},
        {"step": 500, "bound/link1": 4.0, "nll/link1": -2.0, "bound/link2": 3.0, "nll/link2": None},
        {"step": 1000, "bound/link1": 1.0, "nll/link1": -2.5, "bound/link2": 2.0, "nll/link2": 0.5},
    ]
    paths = information_plane(rows)
    assert paths == [Series("link 1", ((2.0, 4.0), (2.5, 1.0))), Series("link 2", ((-0.5, 2.0),))]
    assert "link 2" in chart("Information plane", paths)


def test_a_run_without_estimators_has_none() -> None:
    assert information_plane([{"step": 100, "term/l1": 0.1}]) == []
    assert information_plane([{"step": 1, "bound/link1": None, "nll/link1": 1.0}]) == []
