"""Contrasts stand beside the differences to the baseline, with what the design could have shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from comparison.made_up import by_name, design, record
from ibsd.comparison.results import Results
from ibsd.comparison.summary import summarise
from ibsd.reporting.comparison import comparison_document
from ibsd.reporting.contrasts import ScoredOn, contrast_table, table_of_all

GAINS = {"plain": (0.0, 0.0, 0.0), "more": (0.3, 0.3, 0.3), "less": (0.1, -0.1, 0.03)}


def results(named_before_tests: bool = True) -> Results:
    runs = [
        record(arm, seed, (30.0 + gain, 31.0 + gain))
        for arm, gains in GAINS.items()
        for seed, gain in enumerate(gains)
    ]
    outline = replace(
        design(more="treatment", less="treatment"),
        contrasts=(("less", "more"),),
        named_before_tests=named_before_tests,
    )
    return summarise(outline, by_name(*runs))


def test_a_contrast_stands_beside_the_difference_to_the_baseline() -> None:
    rows = contrast_table(results()).rows
    assert [row[1] for row in rows] == ["less less plain", "less less more"]
    assert [row[3] for row in rows] == ["+0.010", "-0.290"]
    assert [row[-1] for row in rows] == ["no difference shown (0.252)", "worse"]
    assert contrast_table(replace(results(), contrasts=())).rows == []


def test_a_mean_may_have_a_name_of_several_words() -> None:
    made = results()
    [setting] = made.design.settings.values()
    renamed = replace(
        made,
        design=replace(made.design, settings={"all cameras": setting}),
        differences=tuple(replace(row, setting="all cameras") for row in made.differences),
        contrasts=tuple(replace(row, setting="all cameras") for row in made.contrasts),
    )
    before, now = contrast_table(made).rows, contrast_table(renamed).rows
    assert [row[1:] for row in before] == [row[1:] for row in now]


def test_one_table_over_several_comparisons() -> None:
    contrasts = {"less - plain": ("less", "plain"), "less - more": ("less", "more")}
    place = ScoredOn("North", "first", "north", "new", contrasts)
    table = table_of_all([place, replace(place, title="Again")], {"first": results()})
    assert [row[0] for row in table.rows] == ["North", "", "Again", ""]
    assert [row[-1] for row in table.rows[:2]] == ["not shown (0.25)", "behind (0.25)"]
    with pytest.raises(KeyError):
        table_of_all([replace(place, test="other")], {"first": results()})


def test_only_a_figure_that_was_named_before_is_called_so() -> None:
    before, after = (
        comparison_document(results(named)).markdown("page") for named in (True, False)
    )
    assert "It was named before any test was opened." in before
    assert "named before" not in after
    assert "**no difference shown**: less (+0.010, detectable from 0.252)" in before
