"""Plots of a comparison: an arm has one colour in all of them, the baseline none."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from comparison.made_up import by_name, design, record
from ibsd.comparison.results import Results
from ibsd.comparison.summary import summarise
from ibsd.reporting.comparison_plots import (
    arm_looks,
    course_panels,
    difference_plot,
    plane_panels,
)
from ibsd.reporting.plots import Look


def results() -> Results:
    """`last` logs estimators, `early` none; gains are the same for every image and seed."""
    logged = {"step": [6], "scale/F0": [1.5], "bound/link1": [4.0], "nll/link1": [-2.0]}
    plain = {"step": [6], "scale/F0": [1.5]}
    runs = [
        record(
            arm,
            seed,
            (30.0 + gain, 31.0 + gain),
            diagnostics=logged if arm == "last" else plain,
        )
        for arm, gain in (("plain", 0.0), ("early", 0.2), ("last", -0.1))
        for seed in (0, 1, 2)
    ]
    return summarise(design(early="treatment", last="treatment"), by_name(*runs))


def test_colours_follow_the_order_of_the_outline() -> None:
    assert arm_looks(results().design) == {"plain": Look(), "early": Look(0), "last": Look(1)}


def test_an_arm_keeps_its_colour_from_plot_to_plot() -> None:
    [plane] = plane_panels(results())
    assert [path.look for path in plane.series] == [Look(1)]
    looks = {curve.name: curve.look for panel in course_panels(results()) for curve in panel.series}
    assert looks == {"plain": Look(), "early": Look(0), "last": Look(1)}
    text = difference_plot(results()).body
    assert re.findall(r'end">(early|last)</text><g class="([a-z0-9-]+)"', text) == [
        ("early", "series-0"),
        ("last", "series-1"),
    ]


def test_a_row_for_each_arm_and_a_filled_dot_where_both_intervals_exclude_zero() -> None:
    root = ElementTree.fromstring(difference_plot(results()).standalone())
    dots = [node.attrib["class"] for node in root.iter() if node.tag.endswith("circle")]
    assert dots == ["dot", "dot"]
    assert "no differences yet" in difference_plot(summarise(design(), {})).body
