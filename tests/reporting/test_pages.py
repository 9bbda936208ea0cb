"""Laws of the pages: they need nothing but themselves, escape what comes from outside, and draw
what there is."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ibsd.reporting import html
from ibsd.reporting.curves import Series, chart, number, ticks
from ibsd.reporting.panels import Panel, panels_svg
from ibsd.reporting.pictures import Box, before_after, contact_sheet, telling_boxes
from ibsd.reporting.training import WIDEST_PX, shrunk

VOID = {"meta", "img", "input", "br", "line", "circle", "polyline"}


class Outline(HTMLParser):
    """Whether tags are balanced, and what the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def assert_stands_alone(text: str) -> None:
    assert all(load.startswith(("data:image/", "#")) for load in Outline(text).loads)
    assert not re.search(r"https?://|@import|url\(", text)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# -- curves
# ----------------------------------------------------------------------------------------------------------------------


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
    assert number(value) == text


def test_chart_leaves_out_what_is_not_a_number() -> None:
    text = chart(
        "loss", [Series("a", [(0, 1.0), (1, None), (2, float("nan")), (3, float("inf")), (4, 3.0)])]
    )
    assert (
        text.count(" ", text.index('points="'), text.index('"/>', text.index('points="'))) == 1
    )  # two points
    assert "nan" not in text
    assert chart("nothing", [Series("a", [(0, None)]), Series("b", [])]) == ""


def test_chart_of_one_point_has_finite_places() -> None:
    assert "nan" not in chart("one", [Series("a", [(7, 7.0)])])


def test_larger_is_higher() -> None:
    text = chart("x", [Series("a", [(0, 1.0), (1, 2.0)])])
    first, last = re.findall(r"[\d.]+,([\d.]+)", text[text.index("<polyline") :])[:2]
    assert float(last) < float(first)  # the axis of SVG points down


def test_curves_of_one_chart_are_told_apart_and_the_legend_says_how() -> None:
    text = chart("x", [Series(str(k), [(0, 1.0), (1, 2.0 + k)]) for k in range(15)])
    curves, legend = re.findall(r'<g style="([^"]+)', text), re.findall(r'<li style="([^"]+)', text)
    assert len(set(curves)) == 15
    assert curves == legend


# -- pictures
# --------------------------------------------------------------------------------------------------------------------


def test_boxes_are_where_images_differ_and_do_not_overlap() -> None:
    one = np.zeros((60, 80, 3), np.uint8)
    other = one.copy()
    other[12:24, 33:48] = 255
    first, *rest = telling_boxes([one, other], 12, 15, count=3, grid=3)
    assert first == Box(12, 33, 12, 15)
    for box in rest:
        assert abs(box.top - first.top) >= 12 or abs(box.left - first.left) >= 15
        assert box.top % 3 == box.left % 3 == 0


def test_a_box_is_the_same_part_of_a_smaller_image() -> None:
    small = noise(20, 30)
    large = small.repeat(3, 0).repeat(3, 1)
    box = Box(12, 33, 12, 15)
    assert np.array_equal(box.of(small, 3).repeat(3, 0).repeat(3, 1), box.of(large))


def test_boxes_larger_than_the_image_are_none() -> None:
    assert telling_boxes([noise(8, 8), noise(8, 8, 1)], 12, 12, count=3) == []


@pytest.mark.parametrize("size", [(504, 504), (60, 90), (5, 7)])
def test_before_after_keeps_the_halves(size: tuple[int, int]) -> None:
    before, after = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    sheet = before_after(before, after, ("bicubic", "IBSD"))
    assert sheet.shape[1] == size[1]
    assert sheet[0, 0].tolist() == [0, 0, 0]
    assert sheet[0, -1].tolist() == [255, 255, 255]


def test_contact_sheet_holds_every_image() -> None:
    lr, hr = noise(4, 6), noise(8, 12)
    sheet = contact_sheet([[lr, hr]], ("LR", "HR"))
    assert np.array_equal(sheet[-8:, :12], lr.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(sheet[-8:, -12:], hr)


def test_wide_pictures_shrink() -> None:
    assert shrunk(noise(10, WIDEST_PX + 200)).shape == (9, WIDEST_PX, 3)
    assert shrunk(noise(10, 20)).shape == (10, 20, 3)


# -- pages
# -----------------------------------------------------------------------------------------------------------------------


def test_text_is_escaped_everywhere() -> None:
    evil = '<script>alert("x")</script>'
    image = noise(3, 4)
    text = html.page(
        evil,
        evil,
        evil,
        [
            html.section(evil, html.paragraph(evil, "alarm"), about=evil),
            html.facts([(evil, evil)]),
            html.table([evil, evil], [[evil, evil]], strong_column=1),
            html.details(evil, html.paragraph(evil)),
            html.picture(image, evil),
            html.slider(
                {evil: image, evil + "2": image, evil + "3": image}, evil, evil, evil + "2"
            ),
            html.part(evil, html.paragraph(evil), about=evil),
            html.drawing(
                panels_svg([Panel(evil, [Series(evil, [(0, 1)])], evil, evil)]), evil, evil
            ),
            chart(evil, [Series(evil, [(0, 1)]), Series(evil, [(0, 2)])], evil, evil),
        ],
        evil,
    )
    assert "<script>alert" not in text
    assert 'alert("x")' not in text
    assert_stands_alone(text)


def test_empty_sections_leave_no_trace() -> None:
    assert html.section("nothing", "", "") == ""
    assert html.grid([]) == ""


def test_enlarged_pictures_are_exact() -> None:
    assert 'src="data:image/png' in html.picture(noise(3, 4), "x", enlarged=True)


def test_a_long_page_begins_with_links_that_lead_somewhere() -> None:
    parts = [
        html.section(title, html.paragraph("x"))
        for title in ("One", "Two & three", "Four", "Five", "Six")
    ]
    text = html.page("t", "k", "l", parts)
    targets = re.findall(r'href="#([^"]*)"', text)
    assert targets == ["one", "two-three", "four", "five", "six"]
    assert all(f'<section id="{target}">' in text for target in targets)
    assert "<nav" not in html.page("t", "k", "l", parts[:2])


def test_a_slider_of_three_lets_any_two_be_chosen() -> None:
    images = {"a": noise(3, 4), "b": noise(3, 4, 1), "c": noise(3, 4, 2)}
    text = html.slider(images, "caption", "a", "c")
    assert text.count("<select") == 2
    assert text.count("data:image/") == 3
    assert "<select" not in html.slider({"a": images["a"], "b": images["b"]}, "caption", "a", "b")


def test_columns_of_words_are_set_as_text() -> None:
    text = html.table(["arm", "dB", "why"], [["plain", "27.1", "x" * 50], ["ibsd", "", "short"]])
    assert '<th scope="row" class="words">plain</th><td>27.1</td><td class="text">' in text
    assert html.table(["arm"], []) == ""
