"""A report as a person reads it, from the disk, in Chromium: in light and dark, on a desk and a
phone, by keyboard, on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from browser.conftest import DESKTOP, PHONE, Watched
from browser.test_serve_page import assert_accessible, assert_fits, contrast, pixels
from comparison.made_up import by_name, design, record
from ibsd.comparison.summary import summarise
from ibsd.reporting import html
from ibsd.reporting.comparison import comparison_html
from ibsd.reporting.pictures import Scene, scenes_section
from ibsd.reporting.plots import Panel, Series, chart

pytestmark = pytest.mark.slow


OpenTab = Callable[..., Watched]
A4 = {"width": 718, "height": 1000}
"""Within its margins."""
LEVELS = {"bicubic": 60, "plain": 120, "ibsd": 180}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison with pictures, each version a grey of its own, and a long table."""
    runs = [
        record(arm, seed, scores=(30.0 + seed, 31.0))
        for arm in ("plain", "ibsd")
        for seed in (0, 1, 2)
    ]
    versions = {name: np.full((288, 384, 3), level, np.uint8) for name, level in LEVELS.items()}
    scene = Scene(
        "scene",
        np.zeros((72, 96, 3), np.uint8),
        versions,
        np.full((288, 384, 3), 240, np.uint8),
        dict.fromkeys(versions, 30.0),
    )
    losses = [Series("a", [(0, 1.0), (9, 0.5)]), Series("b", [(0, 1.0), (9, 0.4)])]
    curves = html.section(
        "Curves",
        html.figure_grid([chart(Panel("L1", losses, "steps", ""))]),
    )
    many = html.section(
        "Many",
        html.table(
            ["", *(f"arm-number-{k}" for k in range(14))],
            [["basicsr-y.psnr_y", *["+0.0032 (better)"] * 14]],
        ),
    )
    folded = html.section("Settings", html.folded("All of them", html.paragraph("folded away")))
    text = comparison_html(
        summarise(design(ibsd="treatment"), by_name(*runs)),
        scenes=scenes_section([scene]) + curves + many + folded,
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_and_can_be_read_and_asks_for_nothing(
    report: Path, open_tab: OpenTab, viewport: dict[str, int], scheme: str
) -> None:
    watched = open_tab(report.as_uri(), viewport, color_scheme=scheme)
    assert_fits(watched.tab)
    assert_accessible(watched.tab)
    for text in (".about", "figcaption", "tbody th", "nav a", ".definitions dt"):
        assert contrast(watched.tab, text) >= 4.5, text
    assert watched.complaints == []
    assert watched.beyond(report.as_uri()) == []


def test_the_slider_moves_by_keyboard_and_any_two_versions_can_be_chosen(
    report: Path, open_tab: OpenTab
) -> None:
    tab = open_tab(report.as_uri()).tab
    compare = tab.locator(".compare")
    compare.scroll_into_view_if_needed()

    def levels() -> tuple[float, float]:
        """Of the left and the right half, between what lies over them."""
        place = compare.bounding_box()
        clips = (
            {
                "x": place["x"] + share * place["width"],
                "y": place["y"] + 20,
                "width": 200,
                "height": 200,
            }
            for share in (0.1, 0.6)
        )
        left, right = (float(np.median(pixels(tab.screenshot(clip=clip)))) for clip in clips)
        return left, right

    assert levels() == pytest.approx((LEVELS["bicubic"], LEVELS["ibsd"]), abs=2)
    tab.select_option(".choices select >> nth=0", "plain")
    tab.select_option(".choices select >> nth=1", "HR")
    assert levels() == pytest.approx((LEVELS["plain"], 240), abs=2)
    assert tab.locator(".compare .label").all_text_contents() == ["plain", "HR"]
    assert (
        tab.locator(".compare input").get_attribute("aria-label") == "Divider between plain and HR"
    )
    tab.locator(".compare input").focus()
    tab.keyboard.press("Home")
    assert levels()[0] == pytest.approx(240, abs=2)
    tab.keyboard.press("End")
    assert levels()[1] == pytest.approx(LEVELS["plain"], abs=2)


def test_links_lead_to_sections_and_tables_scroll_by_keyboard(
    report: Path, open_tab: OpenTab
) -> None:
    tab = open_tab(report.as_uri(), PHONE).tab
    tab.click("nav >> text=Cost")
    tab.wait_for_function(
        "() => Math.abs(document.querySelector('#cost').getBoundingClientRect().top) < 60"
    )
    table = tab.locator("#cost .scroll")
    table.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("() => document.querySelector('#cost .scroll').scrollLeft > 0")
    lefts = table.evaluate(
        "box => [box, box.querySelector('tbody th')].map((each) => "
        "each.getBoundingClientRect().left)"
    )
    assert lefts[1] == pytest.approx(lefts[0], abs=1), "rows lose their names"


def test_it_prints_whole_and_dark_on_white(report: Path, open_tab: OpenTab, tmp_path: Path) -> None:
    tab = open_tab(report.as_uri(), A4, color_scheme="dark").tab
    tab.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    tab.emulate_media(media="print")
    assert tab.locator("text=folded away").is_visible()
    assert not tab.locator("nav").is_visible()
    assert tab.evaluate(
        "[...document.querySelectorAll('table')].every((table) => table.offsetWidth <= "
        "document.body.offsetWidth)"
    )
    assert contrast(tab, "tbody th") >= 4.5
