"""The whole way: train, stop, resume, evaluate, upscale; what is printed, what is written, what
survives a full disk."""

from __future__ import annotations

import csv
import io
import json
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.system import claimed
from processes import Command

from .conftest import Call, assert_one_sentence


@pytest.mark.slow
def test_train_evaluate_upscale(ibsd: Call, config: Path, pairs: Path, tmp_path: Path) -> None:
    said = ibsd("train", config)
    assert said.code == 0, said.err
    weights = Path("runs/tiny/last.safetensors")
    assert "6 steps done" in said.out
    assert "best on val" in said.out
    assert f"ibsd evaluate {weights} {pairs}" in said.out
    assert "step 6 of 6" in said.err
    assert {path.name for path in Path("runs/tiny").iterdir()} >= {
        "run.json",
        "log.jsonl",
        "best.safetensors",
        "checkpoints",
        "report.html",
    }

    said = ibsd("evaluate", weights, "runs/tiny/best.safetensors", pairs, "-o", "scores")
    assert said.code == 0, said.err
    for word in ("bicubic", "last", "best", "LPIPS", "means over 1 image"):
        assert word in said.out
    scores = json.loads(Path("scores/scores.json").read_text())
    assert list(scores["means"]) == ["bicubic", "last", "best"]
    assert [
        row["method"] for row in csv.DictReader(io.StringIO(Path("scores/scores.csv").read_text()))
    ] == ["bicubic", "last", "best"]

    (tmp_path / "photos").mkdir()
    write_rgb(tmp_path / "photos/a.png", np.zeros((9, 5, 3), np.uint8))
    said = ibsd(
        "upscale",
        "photos",
        "-o",
        "large",
        "--weights",
        weights,
        "--suffix",
        "_x2",
        "--tile",
        "none",
    )
    assert (said.code, said.out) == (0, "1 of 1 upscaled.\n")
    assert read_rgb("large/a_x2.png").shape == (18, 10, 3)


@pytest.mark.slow
def test_results_for_machines(ibsd: Call, config: Path, pairs: Path) -> None:
    said = ibsd("train", config, "training.num_steps=2", "run.folder=short", "--json")
    result = json.loads(said.out)
    assert said.code == 0
    assert (result["step"], result["finished"], result["weights"]["last"]) == (
        2,
        True,
        "short/last.safetensors",
    )
    said = ibsd(
        "evaluate", result["weights"]["last"], pairs, "--split", "all", "--no-lpips", "--json"
    )
    assert json.loads(said.out)["images"] == 4


def test_pairs_of_two_folders_and_of_lr_and_hr(
    ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    named = ibsd(
        "evaluate",
        weights,
        "--lr",
        pairs / "val_LR",
        "--hr",
        pairs / "val_HR",
        "--no-lpips",
        "--json",
    )
    for side in ("LR", "HR"):
        (tmp_path / "camera" / side).parent.mkdir(exist_ok=True)
        (tmp_path / "camera" / side).symlink_to(pairs / f"val_{side}")
    found = ibsd("evaluate", weights, "camera", "--no-lpips", "--json")
    assert named.code == found.code == 0
    assert json.loads(named.out)["means"] == json.loads(found.out)["means"]
    assert_one_sentence(ibsd("evaluate", weights, "camera", "--split", "val"), "--split")


def test_weight_files_of_one_name_are_told_apart(
    ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "last.safetensors").write_bytes(weights.read_bytes())
    said = ibsd(
        "evaluate", "one/last.safetensors", "two/last.safetensors", pairs, "--no-lpips", "--json"
    )
    assert list(json.loads(said.out)["means"]) == ["bicubic", "one/last", "two/last"]
    assert_one_sentence(ibsd("evaluate", weights, weights, pairs), "twice")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_and_the_run_goes_on(
    number: signal.Signals, ibsd: Call, config: Path, tmp_path: Path
) -> None:
    long = ("training.num_steps=100000", "training.checkpoint_every=0", "training.validate_every=0")
    process = Command("train", config, *long)
    log = tmp_path / "runs/tiny/log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert f"stopped by {number.name}" in out
    assert f"ibsd train {config} {' '.join(long)} --resume" in out
    assert "Traceback" not in err
    [checkpoint] = (tmp_path / "runs/tiny/checkpoints").iterdir()
    step = int(checkpoint.name.removeprefix("step-"))
    assert not (tmp_path / "runs/tiny/last.safetensors").exists()

    said = ibsd("train", config, f"training.num_steps={step + 2}", *long[1:], "--resume", "--json")
    assert said.code == 0
    assert f"resumed at step {step}" in said.err
    assert json.loads(said.out)["step"] == step + 2


@pytest.mark.slow
def test_a_full_disk_keeps_the_checkpoint_before(ibsd: Call, config: Path, tmp_path: Path) -> None:
    assert ibsd("train", config, "training.num_steps=4").code == 0
    checkpoints = tmp_path / "runs/tiny/checkpoints"
    before = {path: path.read_bytes() for path in sorted(checkpoints.rglob("*")) if path.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (100_000, hard)
    )  # logs and weights fit, a checkpoint's part does not
    try:
        said = ibsd("train", config, "--resume", "training.log_every=2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (said.code, said.out) == (2, "")
    last = said.err.splitlines()[-1]
    assert last.startswith("ibsd: ")
    assert "step-00000006: the checkpoint could not be saved" in last
    assert "Traceback" not in said.err
    assert {
        path: path.read_bytes() for path in sorted(checkpoints.rglob("*")) if path.is_file()
    } == before
    assert ibsd("train", config, "--resume").code == 0


@pytest.mark.slow
def test_one_folder_takes_one_training_at_a_time(ibsd: Call, config: Path, tmp_path: Path) -> None:
    with claimed(tmp_path / "runs/tiny"):
        assert_one_sentence(ibsd("train", config), "runs/tiny: another process trains there")
    assert [path.name for path in (tmp_path / "runs/tiny").iterdir()] == ["lock"]


def test_a_run_that_only_skips_ends_with_advice(ibsd: Call, config: Path) -> None:
    said = ibsd(
        "train",
        config,
        "training.learning_rate=0.9",
        "training.num_steps=400",
        "training.max_consecutive_skips=3",
        "training.log_every=50",
    )
    assert said.code == 2
    assert "lower training.learning_rate" in said.err.splitlines()[-1]
