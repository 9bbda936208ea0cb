"""Pages of a registration."""

from __future__ import annotations

from typing import Any

from ibsd.reporting.registration import SCENE_COLUMNS, run_page, scene_row

GOOD: dict[str, Any] = {
    "name": "a<b#1",
    "split": "val",
    "crops": ["a.png", "b.png"],
    "ratio": 3.9,
    "corner_px": 0.04,
    "rest": [5.0, 1.25],
    "shares": {"used": 0.75, "moved or changed": 0.25},
    "remark": "",
    "refused": "",
}


def test_a_row_says_what_is_left() -> None:
    row = scene_row(GOOD)
    assert len(row) == len(SCENE_COLUMNS)
    assert row == ["a<b#1", "val", "2", "3.900", "0.040", "5.0", "1.2", "25%", ""]


def test_the_page_links_scenes_and_names_the_refused() -> None:
    scenes = [GOOD, {**GOOD, "name": "c", "refused": "too little detail"}]
    result = {"matched": "2 scenes, matched by name", "scale": 4, "pairs": 2, "scenes": scenes}
    page = run_page("pairs", result, "1")
    assert "2 pairs at x4 from 1 of 2 scenes." in page
    assert 'href="scenes/a%3Cb%231.html">a&lt;b#1<' in page and "scenes/c.html" not in page
    assert "too little detail" in page
