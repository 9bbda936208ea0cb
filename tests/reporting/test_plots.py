"""Plots draw what there is, in both looks, and an arm keeps its colour."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from ibsd.reporting.plots import (
    LEFT_PX,
    NUM_COLOURS,
    PANEL_PX,
    PLOT_STYLE,
    Look,
    Panel,
    Series,
    chart,
    information_plane,
    look,
    looks,
    panels_drawing,
    short_number,
    ticks,
)

SVG = "{http://www.w3.org/2000/svg}"


def svg_of(*panels: Panel) -> ElementTree.Element:
    drawing = panels_drawing(panels)
    assert drawing is not None
    return ElementTree.fromstring(drawing.standalone())


def plain_chart(title: str, series: list[Series]) -> str:
    return chart(Panel(title, series, "steps", ""))


def test_panels_without_a_point_are_left_out() -> None:
    empty = Panel("empty", [Series("a", [(0, None), (1, math.nan)])], "x", "y")
    assert panels_drawing([empty]) is None
    drawn = svg_of(
        empty, Panel("a < b", [Series("b & c", [(0, 1.0), (1, None), (2, 3.0)])], "x", "y")
    )
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert "a < b" in texts
    assert "b & c" in texts
    assert "empty" not in texts
    [curve] = drawn.iter(f"{SVG}polyline")
    assert len(curve.attrib["points"].split()) == 2


def test_names_take_the_place_of_a_quantity_and_span_the_axis() -> None:
    panel = Panel(
        "p",
        [Series("s", [(0, 0.0), (1, 1.0), (2, 2.0)])],
        "weight",
        "y",
        names=["0", "1e-6", "1e-3"],
    )
    drawn = svg_of(panel)
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert {"0", "1e-6", "1e-3", "weight"} <= set(texts)
    [curve] = drawn.iter(f"{SVG}polyline")
    across = [float(point.split(",")[0]) for point in curve.attrib["points"].split()]
    assert across[0] == LEFT_PX
    assert across[1] - across[0] == across[2] - across[1]
    assert across[2] <= PANEL_PX


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.9, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-3, 4, [-4, -2, 0, 2, 4]),
    ],
)
def test_ticks_are_round_and_span(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 0.0), (5.0, 5.0), (-1e-9, -1e-9), (1e12, 1e12), (0.1, 0.1 + 1e-15), (1e-12, 3e-12)],
)
def test_ticks_of_nearly_nothing(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 12
    assert found[0] <= low <= high <= found[-1] or high - low < 1e-11


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12000, "12k"),
        (2.5e6, "2.5M"),
        (0.05, "0.05"),
        (0.00002, "2e-5"),
        (-0.00025, "-2.5e-4"),
        (31.149, "31.15"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


def test_chart_leaves_out_what_is_not_a_number() -> None:
    text = plain_chart(
        "loss", [Series("a", [(0, 1.0), (1, None), (2, float("nan")), (3, float("inf")), (4, 3.0)])]
    )
    assert (
        text.count(" ", text.index('points="'), text.index('"/>', text.index('points="'))) == 1
    )  # two points
    assert "nan" not in text
    assert plain_chart("nothing", [Series("a", [(0, None)]), Series("b", [])]) == ""


def test_chart_of_one_point_has_finite_places() -> None:
    assert "nan" not in plain_chart("one", [Series("a", [(7, 7.0)])])


def test_larger_is_higher() -> None:
    text = plain_chart("x", [Series("a", [(0, 1.0), (1, 2.0)])])
    first, last = re.findall(r"[\d.]+,([\d.]+)", text[text.index("<polyline") :])[:2]
    assert float(last) < float(first)  # the axis of SVG points down


def test_curves_of_one_chart_are_told_apart_and_the_legend_says_how() -> None:
    text = plain_chart("x", [Series(str(k), [(0, 1.0), (1, 2.0 + k)]) for k in range(15)])
    curves = re.findall(r'<g class="(series-\d)">.*?<polyline.*?(?:dasharray="([^"]*)")?/>', text)
    legend = re.findall(r'<i class="(series-\d)" style="--line-style: (\w+)"', text)
    assert len(set(curves)) == len(set(legend)) == 15
    assert [colour for colour, _ in curves] == [colour for colour, _ in legend]


def test_a_name_has_one_look_and_the_baseline_none_of_the_colours() -> None:
    found = looks(["ibsd", "plain", "aa"], neutral="plain")
    assert found == {"plain": Look(), "ibsd": Look(0), "aa": Look(1)}
    assert len({look(index) for index in range(3 * NUM_COLOURS)}) == 3 * NUM_COLOURS


def test_every_colour_is_defined_for_light_and_for_dark() -> None:
    light, dark = PLOT_STYLE.read_text(encoding="utf-8").split("@media")
    for colour in ("neutral", *(f"series-{number}" for number in range(NUM_COLOURS))):
        assert f".{colour} {{" in light
        assert f".{colour} {{" in dark


def test_the_plane_has_one_path_per_link_in_order_of_steps() -> None:
    rows: list[dict[str, float | None]] = [
        {"step": 100, "term/l1": 0.1},
        {"step": 500, "bound/link1": 4.0, "nll/link1": -2.0, "bound/link2": 3.0, "nll/link2": None},
        {"step": 1000, "bound/link1": 1.0, "nll/link1": -2.5, "bound/link2": 2.0, "nll/link2": 0.5},
    ]
    paths = information_plane(rows)
    assert paths == [Series("link 1", ((2.0, 4.0), (2.5, 1.0))), Series("link 2", ((-0.5, 2.0),))]
    assert [path.look for path in information_plane(rows, Look(3))] == [Look(3, 0), Look(3, 1)]
    assert "link 2" in plain_chart("Information plane", paths)


def test_a_run_without_estimators_has_no_plane() -> None:
    assert information_plane([{"step": 100, "term/l1": 0.1}]) == []
    assert information_plane([{"step": 1, "bound/link1": None, "nll/link1": 1.0}]) == []
