"""Tables of a comparison have a row for every arm that ran, and say what they rest on."""

from __future__ import annotations

from dataclasses import replace

from comparison.made_up import by_name, design, record
from ibsd.comparison.results import Results
from ibsd.comparison.summary import summarise
from ibsd.reporting.tables import (
    cost_table,
    design_text,
    diagnostics_table,
    difference_table,
    metrics_table,
    primary_differences,
    trouble_text,
)


def results() -> Results:
    runs = [
        record(arm, seed, (30.0 + gain, 31.0 + gain), batches)
        for arm, gain, batches in (
            ("plain", 0.0, "order"),
            ("good", 0.11, "order"),
            ("again", 0.0, "x"),
        )
        for seed in ((0, 1) if arm == "again" else (0, 1, 2))
    ]
    outline = design(good="treatment", again="a/a", absent="treatment")
    return summarise(outline, by_name(*runs))


def test_a_row_for_bicubic_and_for_each_arm_that_ran() -> None:
    table = difference_table(results(), "north", "new")
    assert [row[0] for row in table.rows] == ["bicubic", "plain (baseline)", "good", "again"]
    assert table.rows[2][1:3] == ["30.610", "+0.110"]
    assert [row[-1] for row in table.rows[2:]] == ["better", "A/A"]


def test_arms_with_other_numbers_of_seeds_are_named() -> None:
    rows = primary_differences(results(), "north", "new")
    expected = "2 images; 3 seeds, noise floor 0.000; 2 seeds, noise floor 0.000: again"
    assert design_text(rows) == expected
    assert design_text([]) == ""


def test_metrics_and_diagnostics_have_a_column_for_each_arm() -> None:
    metrics = metrics_table(results(), "north", "new")
    assert metrics.header == ["metric (weights)", "good", "again"]
    assert ["basicsr-y.psnr_y (ema)", "+0.110 (better)", "+0.000"] in metrics.rows
    diagnostics = diagnostics_table(results(), "north")
    assert diagnostics.rows == [["scale/F0", "1.5", "1.5", "1.5"]]


def test_costs_name_what_went_wrong() -> None:
    one = results()
    costs = [replace(cost, skipped=2 if cost.arm == "good" else 0) for cost in one.costs]
    assert trouble_text(one, "north") == "Skipped steps: none. Alarms: none."
    troubled = replace(one, costs=tuple(costs))
    assert trouble_text(troubled, "north") == "Skipped steps: good 2. Alarms: none."
    assert cost_table(troubled, "north").rows[1] == [
        "good",
        "3",
        "6",
        "0.1000",
        "1.00 x",
        "300",
        "same, 100",
    ]
