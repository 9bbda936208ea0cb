"""The page of a comparison says the same as Markdown and as HTML."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from comparison.made_up import by_name, design, record
from ibsd.commands.compare import stored_results
from ibsd.comparison import statistics
from ibsd.comparison.results import Results, results_from_table
from ibsd.comparison.summary import summarise
from ibsd.reporting.comparison import comparison_document, comparison_html
from ibsd.reporting.document import MOST_COLUMNS, Table
from reporting.pages import assert_stands_alone

ROOT = Path(__file__).parents[2]


def made_up() -> Results:
    runs = [
        record(arm, seed, scores=(30.0 + seed, 31.0))
        for arm in ("plain", "ibsd")
        for seed in (0, 1, 2)
    ]
    return summarise(design(ibsd="treatment"), by_name(*runs))


def test_results_come_back_from_their_json() -> None:
    results = made_up()
    results = replace(
        results, mean_scores=(*results.mean_scores, replace(results.mean_scores[0], mean=math.inf))
    )
    assert repr(results_from_table(json.loads(results.to_json()))) == repr(results)


def test_results_of_another_kind_are_refused() -> None:
    table = json.loads(made_up().to_json())
    table["mean_scores"][0]["arm"] = [1]
    with pytest.raises(TypeError):
        results_from_table(table)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["compare-methods"])
def test_committed_comparisons_have_a_page(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    few = partial(statistics.bootstrap_interval, num_resamples=100)  # the page needs no exact ones
    monkeypatch.setattr(statistics, "bootstrap_interval", few)
    results = stored_results(f"configs/{name}.toml")
    assert repr(results_from_table(json.loads(results.to_json()))) == repr(results)
    text = comparison_html(results, "## Remarks\n\nSaid **so**.", "<p>scenes</p>")
    assert_stands_alone(text)
    for words in (
        results.design.title.split("&")[0].split("'")[0],
        "Primary figure",
        "<strong>so</strong>",
        "Cost",
        "t interval",
        "noise floor",
        "<p>scenes</p>",
    ):
        assert words in text
    for arm in {
        level.arm for level in results.mean_scores
    }:  # an arm that is named and not yet run has no row
        assert f'<th scope="row">{arm}</th>' in text


def test_a_page_says_what_there_is() -> None:
    runs = [
        record(arm, seed, (30.0 + gain, 31.0 + gain), batches)
        for arm, gain, batches in (
            ("plain", 0.0, "order"),
            ("good", 0.11, "order"),
            ("again", 0.0, "x"),
        )
        for seed in (0, 1, 2)
    ]
    outline = design(good="treatment", again="a/a", absent="treatment")
    document = comparison_document(summarise(outline, by_name(*runs)), "Our reading.")
    text = document.markdown("page")
    assert "**better**: good (+0.110" in text
    assert "Our reading." in text
    assert "](page.svg)" in text
    assert "3 runs still to make: north/absent/0, north/absent/1, north/absent/2" in text
    tables = [
        block
        for section in document.sections
        for block in section.all_blocks()
        if isinstance(block, Table)
    ]
    assert tables
    for table in tables:
        assert len(table.header) <= MOST_COLUMNS
        assert all(len(row) == len(table.header) for row in table.rows)


def test_arms_below_bicubic_are_undertrained_first() -> None:
    results = made_up()
    primary = results.design.primary
    [(setting, test)] = {(row.setting, row.test) for row in results.differences} & {
        (score.setting, score.test) for score in results.mean_scores
    }
    bicubic = next(score for score in results.mean_scores if score.metric == primary)
    others = [score for score in results.mean_scores if score.weights != "bicubic"]
    for level, undertrained in ((99.0, True), (1.0, False)):
        row = replace(bicubic, arm="bicubic", weights="bicubic", mean=level)
        row = replace(row, setting=setting, test=test)
        document = comparison_document(replace(results, mean_scores=(*others, row)))
        assert ("- **Undertrained**" in document.markdown("page")) == undertrained
