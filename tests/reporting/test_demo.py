"""The page of the demo shows differences to bicubic, and plain training in the neutral colour."""

from __future__ import annotations

import numpy as np

from ibsd.evaluation.scores import ScoreRow, ScoreTable
from ibsd.reporting.demo import NO_CONCLUSION, SHOWN_SCORES, Story, demo_page, learning_curves
from ibsd.reporting.pictures import Box, Scene
from ibsd.reporting.scores import mean_rows
from reporting.pages import assert_stands_alone

LOGS = {
    "plain": [{"step": 1, "term/l1": 0.5}, {"step": 2, "term/l1": 0.4}],
    "IBSD": [{"step": 1, "term/l1": 0.5, "term/bound": 1.0}],
}
PSNR = {"bicubic": 25.0, "plain": 26.0, "IBSD": 26.5}


def scores() -> ScoreTable:
    rows = [
        ScoreRow("image", method, {"basicsr-y": {"psnr_y": psnr}}, 0.1, 1)
        for method, psnr in PSNR.items()
    ]
    return ScoreTable(3, tuple(rows))


def test_scores_have_their_difference_to_bicubic() -> None:
    rows = [["PSNR-Y, dB", "25.00", "26.00 (+1.00)", "26.50 (+1.50)"]]
    assert mean_rows(scores(), SHOWN_SCORES) == rows


def test_a_method_keeps_its_colour() -> None:
    l1, bound = (figure for figure in learning_curves(LOGS) if figure)
    assert '<g class="neutral"><title>plain' in l1
    assert '<g class="series-0"><title>IBSD' in l1
    assert '<g class="series-0"><title>IBSD' in bound


def test_the_page_stands_alone_and_draws_no_conclusion() -> None:
    versions = {name: np.full((24, 24, 3), 90 + k, np.uint8) for k, name in enumerate(PSNR)}
    scene = Scene("cat", versions["plain"][::3, ::3].copy(), versions, versions["IBSD"], PSNR)
    story = Story(scene, "By <me>.", scores(), LOGS, [("seed", "0")], {"ibsd": "1"}, 57_540, 8, 1.5)
    text = demo_page(story, [Box(0, 0, 12, 12)])
    assert_stands_alone(text)
    for words in (
        NO_CONCLUSION.capitalize(),
        "57,540 parameters",
        "By &lt;me&gt;.",
        "bicubic 25.00 dB, IBSD 26.50 dB (+1.50)",
    ):
        assert words in text
