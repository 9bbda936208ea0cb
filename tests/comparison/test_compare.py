"""`ibsd compare` from config to table: exact however often it is killed, in however many processes, and nothing made twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ibsd.assembly_compare import Comparison
from ibsd.cli.main import main
from ibsd.compare import compare
from ibsd.config_compare import load_compare_config
from ibsd.data.samples import SPLITS, sample_pair
from ibsd.images import write_rgb
from ibsd.types import InputError

CROP_PX = 16
TOML = """
[compare]
folder = "results"
work = "work"
seeds = [0, 1]
[base.student]
scale = 2
options = { width = 8, num_blocks = 3 }
[base.data]
pairs = "pairs"
batch_size = 2
patch_px = 8
[base.training]
num_steps = 6
log_every = 2
figures_every = 3
checkpoint_every = 2
[settings.one]
data.select = "a*"
[settings.one.tests.new]
select = "b*"
splits = ["train", "test"]
role = "unseen"
[arms.plain]
objective.name = "plain"
[arms.ibsd]
objective.name = "ibsd"
objective.options = { warm_up = 0, ramp = 0, period = 2 }
"""
KILLED = """
import os, signal, sys
from ibsd.compare import compare
from ibsd.training.trainer import Trainer

updates, left = Trainer.update, int(sys.argv[1])

def dying(self):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return updates(self)

Trainer.update = dying
compare("compare.toml")
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of the photographs in the package, as two cameras would be named."""
    folder = tmp_path_factory.mktemp("data") / "pairs"
    for split in ("train", "test"):
        for name in SPLITS[split][:2]:
            lr, hr = sample_pair(name, 2)
            for start, camera in ((60, "a"), (100, "b")):
                stop = start + CROP_PX
                for side, pixels, scale in (("LR", lr, 1), ("HR", hr, 2)):
                    (folder / f"{split}_{side}").mkdir(parents=True, exist_ok=True)
                    crop = pixels[start * scale : stop * scale, start * scale : stop * scale].copy()
                    write_rgb(folder / f"{split}_{side}" / f"{camera}_{name}.png", crop)
    return folder


@pytest.fixture
def place(tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the comparison's config."""
    return set_up(tmp_path, pairs, monkeypatch)


def set_up(folder: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "compare.toml").write_text(TOML)
    (folder / "pairs").symlink_to(pairs)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, pairs: Path) -> dict[str, Any]:
    """All runs, made without a break in this process."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = set_up(tmp_path_factory.mktemp("reference"), pairs, monkeypatch)
        compare("compare.toml")
        return figures(folder)


def figures(folder: Path) -> dict[str, Any]:
    """Every run without time and machine, and the results without cost."""
    found = {str(path.relative_to(folder)): json.loads(path.read_text()) for path in sorted((folder / "results").glob("*/*/*.json"))}
    for record in found.values():
        del record["cost"], record["machine"]
    results = json.loads((folder / "results" / "results.json").read_text())
    return found | {"differences": results["differences"], "levels": results["levels"], "health": results["health"]}


def test_the_reference_is_whole(reference: dict[str, Any]) -> None:
    runs = [name for name in reference if name.endswith(".json")]
    assert sorted(name.rsplit("-", 1)[0] for name in runs) == [
        f"results/one/{arm}/seed-{seed}" for arm in ("ibsd", "plain") for seed in (0, 1)
    ]
    difference = next(each for each in reference["differences"] if each["primary"])
    assert (difference["arm"], difference["num_seeds"], difference["num_images"]) == ("ibsd", 2, 4)
    assert difference["mean"] != 0
    text = json.dumps(reference)
    assert "/pairs" not in text
    assert str(Path.home()) not in text


@pytest.mark.slow
def test_killed_twice_and_started_again_gives_the_same_figures(place: Path, reference: dict[str, Any]) -> None:
    for updates in (5, 11):
        ended = subprocess.run([sys.executable, "-c", KILLED, str(updates)], env=environment(), capture_output=True, text=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    said: list[str] = []
    compare("compare.toml", say=said.append)
    assert said[0] == "4 runs: 2 are done, 2 to make"
    assert figures(place) == reference


@pytest.mark.slow
def test_two_processes_give_the_same_figures_as_one(place: Path, reference: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    compare("compare.toml", only=["one/*/0"], jobs=2)
    made = figures(place)
    runs = [name for name in made if name.endswith(".json")]
    assert len(runs) == 2
    assert all(made[name] == reference[name] for name in runs)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "OMP_NUM_THREADS": "1"}


def test_committed_runs_are_found_and_not_made_again(place: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compare("compare.toml", only=["*/plain/0"])
    first = figures(place)
    committed = (place / "results" / "one").rename(tmp_path / "committed")
    elsewhere = set_up(tmp_path / "elsewhere", pairs, monkeypatch)
    (elsewhere / "results").mkdir()
    committed.rename(elsewhere / "results" / "one")
    said: list[str] = []
    results = compare("compare.toml", only=["*/plain/0"], say=said.append)
    assert said == ["1 runs: 1 are done, 0 to make"]
    assert figures(elsewhere) == first
    assert results.missing == ("one/plain/1", "one/ibsd/0", "one/ibsd/1")


def test_a_new_test_set_is_scored_without_training_again(place: Path) -> None:
    compare("compare.toml", only=["*/plain/0"])
    overrides = ['settings.one.tests.seen={select = "a*", role = "seen"}']
    said: list[str] = []
    results = compare("compare.toml", overrides, only=["*/plain/0"], say=said.append)
    assert said[0] == "1 runs: 0 are done, 1 to make"
    assert {level.test for level in results.levels} == {"new", "seen"}
    assert results.costs[0].num_steps == 6
    assert len(list((place / "work").iterdir())) == 1  # the same training
    cost = json.loads(next((place / "work").glob("*/cost.json")).read_text())
    assert cost["timed_steps"] == 6


def test_a_table_alone_needs_no_pictures_and_makes_no_run(place: Path, reference: dict[str, Any]) -> None:
    compare("compare.toml", only=["*/plain/0"])
    before = figures(place)
    (place / "pairs").unlink()
    (place / "results" / "results.md").unlink()
    results = compare("compare.toml", table_only=True)
    assert figures(place) == before
    assert len(results.missing) == 3
    assert (place / "results" / "results.md").is_file()


def test_a_training_picture_is_not_scored_on(place: Path) -> None:
    with pytest.raises(InputError, match="same picture"):
        compare("compare.toml", ['settings.one.tests.new={splits = ["train"]}'])
    assert not (place / "results").exists()


@pytest.mark.parametrize(
    ("overrides", "only", "sentence"),
    [
        (["settings.one.tests.new.select=c*"], [], "has no pairs named"),
        (["settings.one.data.select=c*"], [], "no training pairs named c"),
        (["arms.ibsd.objective.name=none"], [], "objective.name is 'none'"),
        (["arms.ibsd.objective.options.lambda_mu=1"], [], "lambda_mu"),
        ([], ["one/plain/*", "two/*"], "--only two/* matches no run"),
        (["base.data.pairs=nowhere"], [], "nowhere"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_is_wrong_is_said_before_any_run(overrides: list[str], only: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence.replace("*", r"\*")):
        compare("compare.toml", overrides, only)
    assert not Path("results").exists()


@pytest.mark.usefixtures("place")
def test_the_command_prints_tables_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "compare.toml", "--only", "*/plain/0", "--only", "*/ibsd/0"]) == 0
    shown = capsys.readouterr()
    assert "one, scored on new (unseen)" in shown.out
    assert "no interval" in shown.out
    assert "2 runs are not made yet" in shown.out
    assert "2 runs: 0 are done, 2 to make" in shown.err
    assert main(["compare", "compare.toml", "--table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == ["one/plain/1", "one/ibsd/1"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--jobs", "0"], "--jobs is 0"), (["compare.remarks=none.md"], "no such file"), (["compare.seeds=3"], "must be a list")],
)
@pytest.mark.usefixtures("place")
def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str) -> None:
    assert main(["compare", "compare.toml", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.usefixtures("place")
def test_the_key_follows_what_moves_figures_and_nothing_else() -> None:
    def keys(*overrides: str) -> tuple[str, str]:
        comparison = Comparison(load_compare_config("compare.toml", overrides))
        identity = comparison.wanted(comparison.names[-1]).identity
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
