"""`ibsd compare --examine`: once for each finished run, against the baseline of the same seed, by a
rule set beforehand."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from comparison.made_up import by_name, design, record
from comparison.two_cameras import TOML, probe_briefly, run_compare, set_up, write_crops
from ibsd.cli.main import main
from ibsd.comparison.design import Role, RunName
from ibsd.comparison.examination import decomposition_lines, probe_lines
from ibsd.comparison.pairing import weights_hash
from ibsd.comparison.results import PIXELS, RANDOM_WEIGHTS, DecompositionLine
from ibsd.comparison.store import Examination, Store
from ibsd.comparison.summary import summarise
from ibsd.reporting.document import Document, Section
from ibsd.reporting.examinations import decomposition_blocks, probe_blocks, probe_verdict
from ibsd.types import InputError

EXAMINE = """
[arms.watch]
like = "ibsd"
objective.options = { lambda_mi = 0.0, lambda_hf = 0.0 }
[compare.examine]
watch = ["watch"]
patch_px = 8
patches = 8
fit_steps = 8
classes = ["a*", "b*"]
splits = ["train", "test"]
crop_px = 12
crops = 2
rounds = 1
"""


@pytest.mark.slow
def test_examines_every_finished_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    probe_briefly(monkeypatch)
    pairs = write_crops(tmp_path / "pairs", num_train=4)
    folder = set_up(
        tmp_path / "place",
        pairs,
        monkeypatch,
        TOML.replace("[settings.one]", EXAMINE + "[settings.one]", 1),
    )
    only = ["*/0"]
    run_compare("compare.toml", only=only)
    before = Store(folder / "results").records
    assert main(["compare", "compare.toml", "--examine", "--only", "*/0"]) == 0
    assert "3 finished runs: 0 are examined, 3 to examine" in capsys.readouterr().err
    made = Store(folder / "results").examinations
    assert len(made) == 3
    assert Store(folder / "results").records == before
    raw = [load_file(path) for path in folder.glob("work/*/last-raw.safetensors")]
    assert (
        len({weights_hash(state) for state in raw}) == 2
    )  # watching changes nothing: the student of `watch` is plain's

    said: list[str] = []
    results = run_compare("compare.toml", only=only, examine=True, log=said.append)
    assert said == ["3 finished runs: 3 are examined, 0 to examine"]
    assert {line.arm for line in results.probes} == {
        "plain",
        "ibsd",
        "watch",
        RANDOM_WEIGHTS,
        PIXELS,
    }
    same = next(
        line
        for line in results.probes
        if (line.arm, line.node, line.classifier) == ("watch", "all", "all")
    )
    assert same.difference == 0
    accounts = {line.arm: line for line in results.decompositions}
    assert accounts["ibsd"].against == "watch"
    assert accounts["ibsd"].own is not None
    assert accounts["watch"].against == "plain"
    assert accounts["watch"].gain[0] == accounts["watch"].gain[1]
    text = (folder / "results" / "results.md").read_text()
    for wanted in (
        "## Camera probe",
        "## What estimators see",
        "## Information plane",
        "results-plane.svg",
        "results-course.svg",
    ):
        assert wanted in text
    assert "<polyline" in (folder / "results" / "results-plane.svg").read_text()
    assert json.loads((folder / "results" / "results.json").read_text())["probes"]

    changed = ["compare.examine.classes=[]"]
    shutil.rmtree(next(folder.glob("work/*")) / "checkpoints")
    said.clear()
    run_compare("compare.toml", changed, only=only, examine=True, log=said.append)
    assert said[0] == "3 finished runs: 0 are examined, 3 to examine"
    assert sum("cannot be examined" in sentence for sentence in said) == 1
    now = Store(folder / "results").examinations
    assert sum(now[key] == examination for key, examination in made.items()) == 1


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (['compare.examine.classes=["a*"]'], "no pattern, or two or more"),
        (['compare.examine.watch=["other"]'], "it must be an arm"),
        (["compare.examine.patches=0"], "above 0"),
    ],
)
def test_a_wrong_question_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], sentence: str
) -> None:
    set_up(tmp_path / "place", tmp_path, monkeypatch)
    with pytest.raises(InputError, match=sentence):
        run_compare("compare.toml", overrides, table_only=True)


def probed(
    accuracy: float, more: dict[str, Any] | None = None, arm: str = "plain", seed: int = 0
) -> Examination:
    """With that accuracy at both nodes by both classifiers."""
    estimate = {"mean": accuracy, "low": 0.0, "high": 1.0, "folds": []}
    table = {
        "accuracy": {node: dict.fromkeys(("linear", "mlp"), estimate) for node in ("F0", "F1")},
        "chance": 0.5,
    }
    return Examination(
        "key", {"folds": 5}, {"normalise": False, "pool": 0}, {}, {"student": table, **(more or {})}
    )


@pytest.mark.parametrize(
    ("accuracies", "psnr", "expected"),
    [
        ((0.70, 0.71, 0.72), 0.1, "lower at no lower PSNR: counts"),
        ((0.70, 0.71, 0.72), -0.1, "lower, but so is PSNR (-0.100 on new): does not count"),
        ((0.70, 0.90, 0.80), 0.1, "no fall shown"),
        ((0.90, 0.91, 0.92), 0.1, "higher"),
        ((0.70, 0.71), 0.1, "no interval"),
    ],
)
def test_a_lower_accuracy_counts_only_at_no_lower_psnr(
    accuracies: tuple[float, ...], psnr: float, expected: str
) -> None:
    records = by_name(
        *(record("plain", seed) for seed in range(3)),
        *(record("good", seed, [30 + psnr, 31 + psnr, 32 + psnr]) for seed in range(3)),
    )
    examinations = {RunName("north", "plain", seed): probed(0.8) for seed in range(3)}
    examinations |= {
        RunName("north", "good", seed): probed(value) for seed, value in enumerate(accuracies)
    }
    results = summarise(design(good="treatment"), records)
    results = replace(results, probes=tuple(probe_lines(results.design, examinations)))
    whole = next(
        line
        for line in results.probes
        if (line.arm, line.node, line.classifier) == ("good", "all", "all")
    )
    assert whole.difference == pytest.approx(sum(accuracies) / len(accuracies) - 0.8)
    assert probe_verdict(results, whole) == expected
    page = Document("", "", [Section("", probe_blocks(results))]).markdown("page")
    assert expected in page


def test_other_questions_are_not_compared() -> None:
    other = replace(probed(0.7), asked={"folds": 4})
    examinations = {RunName("north", "plain", 0): probed(0.8), RunName("north", "good", 0): other}
    assert {line.arm for line in probe_lines(design(good="treatment"), examinations)} == {"plain"}


def read(own: float | None, fresh: float, **view: Any) -> Examination:
    """A reading of one link; estimators of the run's own see `own`, fresh ones `fresh`, in bound
    and gain."""

    def figures(value: float | None) -> dict[str, Any] | None:
        return (
            None
            if value is None
            else {name: [value] for name in ("bound", "bound_all", "nll", "gain")}
        )

    reading = {name: figures(own) for name in ("trained", "recalibrated")} | {
        name: figures(fresh) for name in ("fresh", "standardised")
    }
    reading |= {
        "scale": [1.0, 1.0],
        "negatives_batch": 8,
        "resolution": 0.05,
        "fit_steps": [1],
        "converged": True,
        "facts": {"seed": 0},
    }
    return Examination("key", {}, {"normalise": False, "pool": 0} | view, reading)


def lines(*watch: str, **examinations: Examination) -> dict[str, DecompositionLine]:
    arms = {name.replace("_", "-"): each for name, each in examinations.items()}
    roles: dict[str, Role] = {arm: "treatment" for arm in arms if arm != "plain"}
    found = decomposition_lines(
        design(**roles), {RunName("north", arm, 0): each for arm, each in arms.items()}, watch
    )
    return {line.arm: line for line in found}


def test_a_decomposition_is_held_against_the_watching_arm_of_its_view() -> None:
    view = {"floor": 1e-3}
    by_arm = lines(
        "watch",
        "watch-pooled",
        plain=read(None, 5.0),
        frozen=read(None, 4.9),
        watch=read(8.0, 5.0, **view),
        ibsd=read(4.0, 1.0, **view),
        hiding=read(4.0, 5.0, **view),
        watch_pooled=read(6.0, 5.0, pool=4, **view),
        pooled=read(3.0, 4.0, pool=4, **view),
        odd=read(3.0, 4.0, pool=2, **view),
    )
    assert {arm: line.against for arm, line in by_arm.items()} == {
        "frozen": "plain",
        "watch": "plain",
        "ibsd": "watch",
        "hiding": "watch",
        "pooled": "watch-pooled",
    }
    assert by_arm["ibsd"].counts == 1
    assert by_arm["ibsd"].parts == {"scale": 0, "hiding": 0, "forgetting": pytest.approx(4.0)}
    assert (by_arm["ibsd"].own, by_arm["ibsd"].gain) == ((8.0, 4.0), (5.0, 1.0))
    assert by_arm["hiding"].counts == 0
    assert by_arm["frozen"].own is None
    results = replace(summarise(design(), by_name(record())), decompositions=tuple(by_arm.values()))
    page = Document("", "", [Section("", decomposition_blocks(results))]).markdown("page")
    assert "| ibsd | watch | 1 | 5.000 to 1.000 | 5.000 to 1.000 | 8.000 to 4.000 |" in page
    assert "| ibsd | +0.000 (0%) | +0.000 (0%) | +4.000 (100%) | yes |" in page
    assert "- hiding, seed 0: " in page
