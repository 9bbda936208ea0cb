"""Probes and decompositions are read by their rules, in tables of few columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from comparison.made_up import by_name, design, record
from ibsd.comparison.results import DecompositionLine, ProbeLine, Results
from ibsd.comparison.summary import summarise
from ibsd.reporting.document import Table
from ibsd.reporting.examinations import (
    decomposition_blocks,
    estimators_table,
    node_table,
    parts_table,
    probe_blocks,
    probe_table,
    probe_verdict,
)

WHOLE = ProbeLine("north", "good", "all", "all", 0.7, 0.5, 3, -0.1, (-0.12, -0.08))
NODES = [
    replace(WHOLE, classifier=name, node=f"F{k}") for k in range(4) for name in ("mlp", "linear")
]
LINE = DecompositionLine(
    "north",
    "good",
    "watch",
    2,
    gain=(5.0, 1.0),
    fresh=(5.0, 1.0),
    own=(8.0, 4.0),
    parts={"scale": 0.0, "hiding": 1.0, "forgetting": 3.0},
    counts=1,
    why={0: "it forgot", 1: "it hides"},
)


def results(gain: float) -> Results:
    """`good` is ahead of plain by `gain` dB on the unseen test set."""
    scores = {"plain": (30.0, 31.0), "good": (30.0 + gain, 31.0 + gain)}
    runs = [record(arm, seed, own) for arm, own in scores.items() for seed in (0, 1, 2)]
    return replace(
        summarise(design(good="treatment"), by_name(*runs)),
        probes=(WHOLE, *NODES),
        decompositions=(LINE,),
    )


@pytest.mark.parametrize(
    ("interval", "gain", "expected"),
    [
        ((-0.12, -0.08), 0.1, "lower at no lower PSNR: counts"),
        ((-0.12, -0.08), -0.1, "lower, but so is PSNR (-0.100 on new): does not count"),
        ((-0.12, 0.08), 0.1, "no fall shown"),
        ((0.02, 0.08), 0.1, "higher"),
        (None, 0.1, "no interval"),
    ],
)
def test_a_lower_accuracy_counts_only_at_no_lower_psnr(
    interval: tuple[float, float] | None, gain: float, expected: str
) -> None:
    line = replace(WHOLE, t_interval=interval)
    assert probe_verdict(results(gain), line) == expected
    [row] = probe_table(results(gain), [line, *NODES]).rows
    assert (row[0], row[1], row[-1]) == ("good", "0.700", expected)


def test_every_node_has_a_column_by_classifier() -> None:
    header = node_table([WHOLE, *NODES]).header
    assert header == ["arm", *(f"F{k} {name}" for name in ("linear", "mlp") for k in range(4))]


def test_parts_of_the_drop_have_their_share() -> None:
    [row] = parts_table([LINE]).rows
    assert row == ["good", "+0.000 (0%)", "+1.000 (25%)", "+3.000 (75%)", "1 of 2 seeds"]
    frozen = replace(LINE, own=None, parts=None)
    assert parts_table([frozen]).rows == [["good", "", "", "", "no estimators that learn"]]
    [row] = estimators_table([LINE]).rows
    assert row[1:] == ["watch", "2", "5.000 to 1.000", "5.000 to 1.000", "8.000 to 4.000"]


def test_sections_have_few_columns_and_are_empty_without_examinations() -> None:
    blocks = [*probe_blocks(results(0.1)), *decomposition_blocks(results(0.1))]
    tables = [block for block in blocks if isinstance(block, Table)]
    assert len(tables) == 5
    assert all(len(table.header) <= 7 for table in tables)
    bare = replace(results(0.1), probes=(), decompositions=())
    assert probe_blocks(bare) == decomposition_blocks(bare) == []
