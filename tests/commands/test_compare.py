"""`ibsd compare` from config to table: exact however often it is killed, in however many processes,
and nothing made twice."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from comparison.two_cameras import run_compare, set_up, write_crops
from ibsd.cli.main import main
from ibsd.commands.plan import Comparison
from ibsd.comparison.store import FILE, Store
from ibsd.config.comparison import load_compare_config
from ibsd.types import InputError
from processes import Command

LONGER = ["base.training.num_steps=14", "base.training.checkpoint_every=2", "compare.seeds=[0]"]
"""So that a kill meets training, and not only the start of a process."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crops(tmp_path_factory.mktemp("data") / "pairs")


@pytest.fixture
def place(tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the comparison's config."""
    return set_up(tmp_path, pairs, monkeypatch)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, pairs: Path) -> dict[str, Any]:
    """All runs, made without a break in this process."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = set_up(tmp_path_factory.mktemp("reference"), pairs, monkeypatch)
        run_compare("compare.toml", LONGER)
        return figures(folder)


def figures(folder: Path) -> dict[str, Any]:
    """Every run without time and machine, and the results without cost."""
    runs = {record.identity.name: asdict(record) for record in Store(folder / "results").records}
    for record in runs.values():
        del record["cost"], record["machine"]
    results = json.loads((folder / "results" / "results.json").read_text())
    kept = ("differences", "mean_scores", "histories")
    return {"runs": runs} | {name: results[name] for name in kept}


@pytest.mark.slow
def test_the_reference_is_whole(reference: dict[str, Any]) -> None:
    assert list(reference["runs"]) == ["one/ibsd/0", "one/plain/0"]
    difference = next(each for each in reference["differences"] if each["primary"])
    assert (difference["arm"], difference["num_seeds"], difference["num_images"]) == ("ibsd", 1, 4)
    assert difference["mean"] != 0
    text = json.dumps(reference)
    assert "/pairs" not in text
    assert str(Path.home()) not in text


@pytest.mark.slow
def test_killed_twice_with_all_its_processes_gives_the_same_figures(
    place: Path, reference: dict[str, Any]
) -> None:
    """`kill -9` of the whole process group, when a random number of checkpoints and runs are on the
    disk."""
    moments = [random.randint(1, 4), random.randint(5, 9)]
    for moment in moments:
        process = Command("compare", "compare.toml", *LONGER, "--jobs", "2")
        while process.poll() is None and written(place) < moment:
            time.sleep(0.01)
        assert process.poll() is None, process.said()  # or it was done too soon to be killed
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    for file in place.glob("work/*/lock"):
        with open(file) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a killed process of a run may take a while to end
    run_compare("compare.toml", LONGER)
    assert figures(place) == reference, f"killed at {moments}"


def written(place: Path) -> int:
    """Steps that checkpoints stand for, in twos, and finished runs."""
    newest = [
        max((int(path.name[5:]) for path in folder.glob("step-*")), default=0)
        for folder in place.glob("work/*/checkpoints")
    ]
    return sum(newest) // 2 + len(Store(place / "results").records)


@pytest.mark.slow
def test_committed_runs_are_found_and_not_made_again(
    place: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_compare("compare.toml", only=["*/plain/0"])
    first = figures(place)
    elsewhere = set_up(tmp_path / "elsewhere", pairs, monkeypatch)
    (elsewhere / "results").mkdir()
    (place / "results" / FILE).rename(elsewhere / "results" / FILE)
    said: list[str] = []
    results = run_compare("compare.toml", only=["*/plain/0"], log=said.append)
    assert said == ["runs: 1 done, 0 to make"]
    assert figures(elsewhere) == first
    assert results.missing == ("one/plain/1", "one/ibsd/0", "one/ibsd/1")


@pytest.mark.slow
def test_a_new_test_set_is_scored_without_training_again(place: Path) -> None:
    run_compare("compare.toml", only=["*/plain/0"])
    overrides = ['settings.one.tests.seen={select = "a*", role = "seen"}']
    said: list[str] = []
    results = run_compare("compare.toml", overrides, only=["*/plain/0"], log=said.append)
    assert said[0] == "runs: 0 done, 1 to make"
    assert {level.test for level in results.mean_scores} == {"new", "seen"}
    assert results.costs[0].num_steps == 6
    assert len(list((place / "work").iterdir())) == 1  # the same training
    cost = json.loads(next((place / "work").glob("*/cost.json")).read_text())
    assert cost["timed_steps"] == 6


@pytest.mark.slow
def test_a_table_alone_needs_no_pictures_and_makes_no_run(place: Path) -> None:
    run_compare("compare.toml", only=["*/plain/0"])
    before = figures(place)
    (place / "pairs").unlink()
    (place / "results" / "results.md").unlink()
    (place / "remarks.md").write_text("What the figures do not say.")
    results = run_compare("compare.toml", ["compare.remarks=remarks.md"], table_only=True)
    assert "\nWhat the figures do not say.\n" in (place / "results" / "results.md").read_text()
    assert figures(place) == before
    assert len(results.missing) == 3
    assert (place / "results" / "results.md").is_file()


def test_a_training_picture_is_not_scored_on(place: Path) -> None:
    with pytest.raises(InputError, match="same picture"):
        run_compare("compare.toml", ['settings.one.tests.new={splits = ["train"]}'])
    assert not (place / "results").exists()


@pytest.mark.parametrize(
    ("overrides", "only", "sentence"),
    [
        (["settings.one.tests.new.select=c*"], [], "has no pairs named"),
        (["settings.one.data.select=c*"], [], "holds no training pairs: change data.select"),
        (["arms.ibsd.objective.name=none"], [], "objective.name is 'none'"),
        (["arms.ibsd.objective.options.lambda_mu=1"], [], "lambda_mu"),
        ([], ["one/plain/*", "two/*"], "--only two/* matches no run"),
        (["base.data.pairs=nowhere"], [], "nowhere"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_is_wrong_is_said_before_any_run(
    overrides: list[str], only: list[str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence.replace("*", r"\*")):
        run_compare("compare.toml", overrides, only=only)
    assert not Path("results").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_command_prints_tables_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "compare.toml", "--only", "*/plain/0", "--only", "*/ibsd/0"]) == 0
    shown = capsys.readouterr()
    assert "one, scored on new (unseen" in shown.out
    assert "no interval: it takes 3 seeds" in shown.out
    assert "2 runs still to make" in shown.out
    assert "runs: 0 done, 2 to make" in shown.err
    assert main(["compare", "compare.toml", "--table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == ["one/plain/1", "one/ibsd/1"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--jobs", "0"], "--jobs is 0"),
        (["compare.remarks=none.md"], "is no file"),
        (["compare.seeds=3"], "must be a list"),
    ],
)
@pytest.mark.usefixtures("place")
def test_the_command_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["compare", "compare.toml", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_key_follows_what_moves_figures_and_nothing_else() -> None:
    def keys(*overrides: str) -> tuple[str, str]:
        comparison = Comparison(load_compare_config("compare.toml", overrides))
        identity = comparison.request(comparison.names[-1]).identity
        return identity.training_key, identity.key

    training, whole = keys()
    for same in (
        "compare.folder=other",
        "base.run.threads=2",
        "base.training.log_every=1",
        "base.training.checkpoint_every=5",
        "compare.work=w",
    ):
        assert keys(same) == (training, whole), same
    Path("moved").symlink_to(Path("pairs").resolve())
    assert keys("base.data.pairs=moved") == (training, whole)
    for other in (
        "base.training.num_steps=7",
        "base.training.clip_norm=1.0",
        "arms.ibsd.objective.options.pool=2",
        "base.data.patch_px=10",
    ):
        assert keys(other)[0] != training, other
    assert keys('settings.one.data.select="a_b*"')[0] != training
    assert keys("compare.lpips=true")[0] == training
    assert keys("compare.lpips=true")[1] != whole
    assert keys('settings.one.tests.new.splits=["test"]')[0] == training
    assert keys('settings.one.tests.new.splits=["test"]')[1] != whole
