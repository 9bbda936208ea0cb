"""The worst tenth over bicubic and the share below it, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from comparison.made_up import METRIC, by_name, design, record
from ibsd.comparison.harm import worst_tenth
from ibsd.comparison.store import RunRecord
from ibsd.comparison.summary import summarise
from ibsd.reporting.tables import other_figures_table

GAINS = (-3.0, -1.0, *np.linspace(0.5, 2, 18))


def run(arm: str, seed: int, gains: tuple[float, ...], with_images: bool = True) -> RunRecord:
    one = record(arm, seed, 30 + np.array(gains))
    bicubic = {METRIC: (30.0,) * len(gains)} if with_images else {}
    return replace(one, tests={"new": replace(one.tests["new"], bicubic_images=bicubic)})


def test_the_worst_tenth_is_of_one_image_at_least() -> None:
    assert worst_tenth(np.arange(1.0, 21.0)) == 1.5
    assert worst_tenth(np.array([4.0, 3.0])) == 3.0


def test_harm_is_in_results_and_tables_and_older_rows_learn_bicubic_from_later_ones() -> None:
    runs = [run("plain", 0, GAINS), run("good", 0, GAINS[::-1], with_images=False)]
    said = summarise(design(good="treatment"), by_name(*runs))
    [plain, good] = said.harms
    assert (plain.worst_tenth, plain.below) == (pytest.approx(-2.0), pytest.approx(0.1))
    assert (good.worst_tenth, good.seed_worst_tenths) == (
        plain.worst_tenth,
        plain.seed_worst_tenths,
    )
    table = other_figures_table(said, "north", "new")
    assert table.header[1:3] == ["worst tenth", "below bicubic"]
    assert ["plain", "-2.00", "10%"] in [row[:3] for row in table.rows]


def test_of_runs_that_recorded_no_bicubic_by_image_there_is_no_table() -> None:
    said = summarise(design(), by_name(run("plain", 0, GAINS, with_images=False)))
    assert said.harms == ()
    assert other_figures_table(said, "north", "new").rows == []
