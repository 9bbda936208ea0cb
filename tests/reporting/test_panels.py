"""Panels stand alone in one SVG file and draw what there is."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from ibsd.reporting.curves import Series
from ibsd.reporting.panels import LEFT_PX, PANEL_PX, Panel, panels_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_panels_without_a_point_are_left_out() -> None:
    empty = Panel("empty", [Series("a", [(0, None), (1, math.nan)])], "x", "y")
    assert panels_svg([empty]) == ""
    drawn = ElementTree.fromstring(
        panels_svg(
            [empty, Panel("a < b", [Series("b & c", [(0, 1.0), (1, None), (2, 3.0)])], "x", "y")]
        )
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
    drawn = ElementTree.fromstring(panels_svg([panel]))
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert {"0", "1e-6", "1e-3", "weight"} <= set(texts)
    [curve] = drawn.iter(f"{SVG}polyline")
    across = [float(point.split(",")[0]) for point in curve.attrib["points"].split()]
    assert across[0] == LEFT_PX
    assert across[1] - across[0] == across[2] - across[1]
    assert across[2] <= PANEL_PX
