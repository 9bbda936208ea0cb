"""Arms that are scored by other weights of another arm's runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from comparison.made_up import METRIC, record
from ibsd.commands.compare import by_other_weights
from ibsd.commands.plan import Comparison
from ibsd.comparison import scoring
from ibsd.comparison.design import RunName
from ibsd.config.comparison import load_compare_config
from ibsd.students import create_student
from ibsd.types import InputError

CONFIG = """
[compare]
folder = "results"
seeds = [0, 1]
[base]
data = { pairs = "pairs" }
training = { start_share = 0.5 }
[settings.north.tests.new]
[arms.plain]
objective.name = "plain"
[arms.plain-mean]
like = "plain"
weights = "mean"
"""


def comparison(tmp_path: Path, text: str = CONFIG) -> Comparison:
    path = tmp_path / "compare.toml"
    path.write_text(text, encoding="utf-8")
    return Comparison(load_compare_config(path))


def test_they_have_no_runs_of_their_own_and_are_shown(tmp_path: Path) -> None:
    ours = comparison(tmp_path)
    assert [name.arm for name in ours.names] == ["plain", "plain"]
    assert [name.arm for name in ours.design().names] == ["plain"] * 2 + ["plain-mean"] * 2
    assert ours.design().arms["plain-mean"].options == "mean weights of plain"


def test_their_scores_are_those_of_the_other_weights(tmp_path: Path) -> None:
    run = record()
    test = run.tests["new"]
    higher = {METRIC: tuple(value + 1 for value in test.scores["ema"][METRIC])}
    tests = {"new": replace(test, scores=test.scores | {"mean": higher}), "new/row": test}
    both = replace(run, tests=tests)  # a row of a degradation matrix has no other weights
    records = {RunName("north", "plain", 0): both, RunName("north", "plain", 1): record(seed=1)}
    derived = by_other_weights(comparison(tmp_path), records)
    assert list(derived) == [RunName("north", "plain-mean", 0)]  # seed 1 was made without them
    [mean] = derived.values()
    assert {name: scored.scores for name, scored in mean.tests.items()} == {"new": {"ema": higher}}
    assert (mean.identity.arm, mean.pairing) == ("plain-mean", both.pairing)


def test_other_weights_need_an_arm_that_has_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="like"):
        comparison(tmp_path, CONFIG.replace('like = "plain"', 'objective.name = "plain"'))


def test_only_weights_that_an_arm_asks_for_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = comparison(tmp_path, CONFIG + '[arms.other]\nobjective.name = "plain"\n')
    monkeypatch.setattr(Comparison, "pairs", lambda *_: ((), {}))
    assert ours.scoring(RunName("north", "plain", 0)).derived == {"mean"}
    assert ours.scoring(RunName("north", "other", 0)).derived == frozenset()
    student = create_student("imdn", 2, width=8, num_blocks=3)
    kinds = dict.fromkeys(("ema", "raw", "mean", "start"), student)
    image = ("image", np.zeros((16, 16, 3), np.uint8), np.zeros((32, 32, 3), np.uint8))
    asked = scoring.Scoring(
        {"new": scoring.TestSet("unseen", (image,))}, False, METRIC, frozenset({"mean"})
    )
    assert set(scoring.scores_on(asked, kinds)["new"].scores) == {"ema", "raw", "mean"}
