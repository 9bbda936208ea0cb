"""`ibsd specialise`: what it writes is the mean of start and end, what it prints is what `ibsd
evaluate` finds, and nothing of the user's is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from ibsd.commands.specialise import specialise_config
from ibsd.commands.train import train
from ibsd.data.samples import sample_pair
from ibsd.export.weights import save_student
from ibsd.students import create_student, load_student
from ibsd.training.execution import Callbacks

from .conftest import Call, assert_one_sentence

SMALL = ("data.patch_px=8", "data.batch_size=2", "run.threads=1")


@pytest.fixture(autouse=True)
def one_small_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the fourteen in the package."""

    def corner(name: str, scale: int) -> tuple[np.ndarray, ...]:
        lr, hr = sample_pair(name, scale)
        return lr[:24, :24], hr[: 24 * scale, : 24 * scale]

    monkeypatch.setattr("ibsd.commands.specialise.sample_names", lambda: ("astronaut",))
    monkeypatch.setattr("ibsd.commands.specialise.sample_pair", corner)


@pytest.mark.slow
def test_the_mean_is_written_and_its_scores_are_those_of_evaluate(
    ibsd: Call, pairs: Path, weights: Path
) -> None:
    given = (pairs, "-o", "mine", "--weights", weights, "--steps", 3, *SMALL, "--no-lpips")
    said = ibsd("specialise", *given)
    assert said.code == 0, said.err
    written = Path("mine/specialised.safetensors")
    start, end, mean = (
        load_student(path).state_dict() for path in (weights, "mine/run/last.safetensors", written)
    )
    for key, tensor in mean.items():
        assert torch.allclose(tensor, (start[key] + end[key]) / 2, atol=1e-6)
    assert not torch.equal(end["fea_conv.weight"], start["fea_conv.weight"])
    table = json.loads(Path("mine/scores.json").read_text())[f"test of {pairs.name}"]
    again = json.loads(ibsd("evaluate", written, pairs, "--no-lpips", "--json").out)
    for protocol, metrics in again["means"]["specialised"].items():
        assert table["means"]["specialised"][protocol] == pytest.approx(metrics, abs=1e-4)
    mean_psnr = table["means"]["specialised"]["basicsr-y"]["psnr_y"]
    assert f"{mean_psnr:.2f} (" in said.out
    assert "the photographs inside ibsd, 1 image" in said.out
    assert Path("mine/report.html").read_text().count("<h2>") == 4
    # a second time
    before = {path: path.read_bytes() for path in Path("mine").rglob("*") if path.is_file()}
    assert_one_sentence(ibsd("specialise", *given), "mine holds a run already", "--resume")
    assert before == {path: path.read_bytes() for path in before}
    said = ibsd("specialise", *given[:-1], "--resume", "--no-lpips", "--json")
    assert json.loads(said.out)["weights"] == str(written), said.err
    again = load_student(written).state_dict()
    assert all(torch.equal(again[key], tensor) for key, tensor in mean.items())
    said = ibsd("specialise", *given, "--force")
    assert said.code == 0, said.err
    assert torch.equal(
        load_student(written).state_dict()["fea_conv.weight"], mean["fea_conv.weight"]
    )


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(
    ibsd: Call, pairs: Path, weights: Path, tmp_path: Path
) -> None:
    given = (pairs, "--weights", weights, "--steps", 4, *SMALL, "--no-lpips")
    assert ibsd("specialise", *given, "-o", "whole").code == 0
    stopping = specialise_config({"pairs": str(pairs)}, str(weights), Path("parts"), 4, SMALL)
    steps: list[int] = []
    result = train(
        stopping,
        callbacks=Callbacks(
            on_step=lambda step, _: steps.append(step),
            stop_requested=lambda: "enough" if 2 in steps else None,
        ),
    )
    assert (result.finished, result.step) == (False, 2)
    said = ibsd("specialise", *given, "-o", "parts", "--resume")
    assert "resumed at step 2" in said.err
    whole, parts = (
        load_student(f"{folder}/specialised.safetensors").state_dict()
        for folder in ("whole", "parts")
    )
    assert all(torch.equal(parts[key], whole[key]) for key in whole)


@pytest.mark.slow
def test_mistakes_are_one_sentence_and_leave_nothing(
    ibsd: Call, pairs: Path, weights: Path, tmp_path: Path
) -> None:
    other = save_student(
        create_student("imdn", 3, width=8, num_blocks=3), tmp_path / "x3.safetensors"
    )
    start = ("specialise", pairs, "-o", "mine", "--weights")
    assert_one_sentence(ibsd(*start, other), "x2", "x3")
    assert_one_sentence(ibsd(*start, "nothing.pth"), "nothing.pth", "no such weight file")
    assert_one_sentence(ibsd(*start, weights, "--steps", 0), "--steps")
    assert_one_sentence(ibsd(*start, weights, "data.batchsize=3"), "batch_size")
    assert_one_sentence(
        ibsd("specialise", "nowhere", "-o", "mine", "--weights", weights), "nowhere"
    )
    assert not Path("mine").exists()
    Path("mine").mkdir()
    Path("mine/report.html").write_text("mine")
    assert_one_sentence(ibsd(*start, weights), "mine/report.html exists already")
    assert_one_sentence(ibsd(*start, weights, "--resume"), "mine/report.html exists already")
    assert Path("mine/report.html").read_text() == "mine"


def test_a_setting_may_stand_where_two_folders_replace_the_pairs(
    ibsd: Call, weights: Path, tmp_path: Path
) -> None:
    tiny.write_pairs(tmp_path / "own", [(8, 8)], 2)
    folders = ("--lr", tmp_path / "own" / "LR", "--hr", tmp_path / "own" / "HR")
    given = ("-o", "mine", "--weights", weights)
    said = ibsd("specialise", "data.drop=none.txt", *folders, *given)
    assert_one_sentence(said, "none.txt", "list of files to leave out")
    assert_one_sentence(ibsd("specialise", *folders[:2], *given), "--lr and --hr")


def test_a_config_that_names_the_recipe_needs_a_start(ibsd: Call, config: Path) -> None:
    said = ibsd("train", config, "objective.name=specialise")
    assert_one_sentence(said, "set student.weights")
