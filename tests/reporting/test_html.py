"""Laws of the pages: they need nothing but themselves, escape what comes from outside, and leave
out what is empty."""

from __future__ import annotations

import re

from ibsd.reporting import html
from ibsd.reporting.plots import Panel, Series, chart, panels_drawing
from reporting.pages import assert_stands_alone, noise


def test_text_is_escaped_everywhere() -> None:
    evil = '<script>alert("x")</script>'
    image, two = noise(3, 4), [Series(evil, [(0, 1)]), Series(evil, [(0, 2)])]
    drawing = panels_drawing([Panel(evil, two, evil, evil)])
    assert drawing is not None
    text = html.page(
        evil,
        evil,
        evil,
        [
            html.section(evil, html.paragraph(evil, "alarm"), about=evil),
            html.definitions([(evil, evil)]),
            html.table([evil, evil], [[evil, evil]], strong_column=1),
            html.folded(evil, html.paragraph(evil)),
            html.figure(image, evil),
            html.slider(
                {evil: image, evil + "2": image, evil + "3": image}, evil, evil, evil + "2"
            ),
            html.part(evil, html.paragraph(evil), about=evil),
            html.drawing(drawing, evil, evil),
            chart(Panel(evil, two, evil, evil), evil),
        ],
        evil,
    )
    assert "<script>alert" not in text
    assert 'alert("x")' not in text
    assert_stands_alone(text)


def test_empty_sections_leave_no_trace() -> None:
    assert html.section("nothing", "", "") == ""
    assert html.figure_grid([]) == ""


def test_enlarged_pictures_are_exact() -> None:
    assert 'src="data:image/png' in html.figure(noise(3, 4), "x", enlarged=True)


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
