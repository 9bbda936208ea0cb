"""A run that was stopped and resumed equals one that was not, bit for bit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from ibsd.distillation import IBSD, Objective, Plain
from ibsd.distillation.feature_norm import FeatureNorm
from ibsd.students import Student
from ibsd.training import Trainer, TrainingOptions, TrainingResult
from ibsd.training.tracking import JsonLines
from ibsd.types import InputError
from processes import Command

NUM_STEPS = 13
TRAINING = TrainingOptions(
    num_steps=NUM_STEPS,
    learning_rate=1e-3,
    ema_decay=0.9,
    clip_norm=1.0,
    log_every=5,
    diagnostics_every=3,
    validate_every=4,
    checkpoint_every=6,
)
IBSD_OPTIONS: dict[str, Any] = {
    "lambda_mi": 1e-3,
    "lambda_hf": 0.02,
    "period": 4,
    "warm_up": 2,
    "ramp": 3,
    "inner_steps": 2,
}
OBJECTIVES: dict[str, Callable[[Student], Objective]] = {
    "plain": Plain,
    "snapshot": lambda student: IBSD(student, soft_target="snapshot", **IBSD_OPTIONS),
    "ema": lambda student: IBSD(student, soft_target="ema", normalise=True, **IBSD_OPTIONS),
    "bank": lambda student: IBSD(student, soft_target="bank", negatives="others", **IBSD_OPTIONS),
    "given hr": lambda student: IBSD(student, given="hr", pool=3, **IBSD_OPTIONS),
    "feature norm": lambda student: FeatureNorm(
        student, lambda_hf=0.02, period=4, warm_up=2, ramp=3
    ),
}


def validate(student: Student, step: int) -> dict[str, float]:
    """Depends on the averaged weights, and has its best somewhere in the middle."""
    return {"score": float(student.c[0].weight.detach().sum()) - abs(step - 7)}


def run(
    folder: Path, make: Callable[[Student], Objective], stop: int = NUM_STEPS, **options: Any
) -> tuple[Trainer, TrainingResult, list[str]]:
    """Everything anew, resumed from `folder` where there is something, until `stop`; and what was
    said of that something."""
    said: list[str] = []
    torch.manual_seed(
        1234 + stop
    )  # a resumed run must not depend on where the new process's generator stands
    trainer = Trainer(
        make(tiny.student()),
        tiny.source(),
        dataclasses.replace(TRAINING, **options),
        checkpoints=folder / "checkpoints",
        validate=validate,
        primary="score",
        log=said.append,
    )
    trainer.stop_requested = lambda: "stopped" if trainer.step >= stop else None
    trainer.resume()
    said, trainer.log = (
        list(said),
        lambda sentence: None,
    )  # health alarms are expected of runs as short as these
    trainer.trackers = [JsonLines(folder / "log.jsonl", trainer.step)]
    return trainer, trainer.run(), said


def flattened(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {
            key: leaf
            for k, item in value.items()
            for key, leaf in flattened(item, f"{name}.{k}").items()
        }
    if isinstance(value, (list, tuple)):
        return {
            key: leaf
            for k, item in enumerate(value)
            for key, leaf in flattened(item, f"{name}.{k}").items()
        }
    return {name: value}


def check_equal(ours: Trainer, theirs: Trainer) -> None:
    """Every tensor, count and setting that the next step would depend on."""
    x, y = flattened(ours.state()), flattened(theirs.state())
    x, y = (
        {key: value for key, value in state.items() if key != ".generator"} for state in (x, y)
    )  # the global one, which nothing draws from
    assert x.keys() == y.keys()
    assert getattr(ours.objective, "first_diagnostics", None) == getattr(
        theirs.objective, "first_diagnostics", None
    )  # alarms compare with them
    for key in x:
        assert (
            torch.equal(x[key], y[key])
            if isinstance(x[key], torch.Tensor)
            else x[key] == y[key] or (x[key] != x[key] and y[key] != y[key])
        ), key


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Trainer, TrainingResult, bytes]]:
    """(trainer, result, log) of a run in one piece, of each objective once."""

    @cache
    def once(name: str) -> tuple[Trainer, TrainingResult, bytes]:
        folder = tmp_path_factory.mktemp("whole")
        trainer, result, _ = run(folder, OBJECTIVES[name])
        return trainer, result, (folder / "log.jsonl").read_bytes()

    return once


Whole = Callable[[str], tuple[Trainer, TrainingResult, bytes]]


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_resumed_equals_uninterrupted(tmp_path: Path, uninterrupted: Whole, name: str):
    whole, result, log = uninterrupted(name)
    assert result.finished
    assert result.reason == "finished"
    # At a period's end (4), within a period and a log window (7), before and after the first.
    for stop in (1, 4, 7, 11) if name == "bank" else (4, 7):
        _, part, _ = run(tmp_path, OBJECTIVES[name], stop)
        assert (part.step, part.finished, part.reason) == (stop, False, "stopped")
    parts, result_of_parts, said = run(tmp_path, OBJECTIVES[name])
    assert not said
    check_equal(parts, whole)
    assert (tmp_path / "log.jsonl").read_bytes() == log
    assert (result_of_parts.best_score, result_of_parts.best_step) == (
        result.best_score,
        result.best_step,
    )
    assert result.best_step in (4, 8)


@pytest.mark.slow
def test_also_with_other_settings(tmp_path: Path):
    options: dict[str, Any] = {"precision": "bf16", "channels_last": True, "weight_decay": 0.01}
    whole, _, _ = run(tmp_path / "whole", OBJECTIVES["snapshot"], **options)
    run(tmp_path / "parts", OBJECTIVES["snapshot"], 5, **options)
    parts, _, _ = run(tmp_path / "parts", OBJECTIVES["snapshot"], **options)
    check_equal(parts, whole)
    assert (tmp_path / "parts" / "log.jsonl").read_bytes() == (
        tmp_path / "whole" / "log.jsonl"
    ).read_bytes()


@pytest.mark.slow
def test_the_uninterrupted_runs_do_differ_from_each_other(uninterrupted: Whole):
    """Else the equalities above would say nothing of the objectives."""
    finals = [uninterrupted(name)[0].student.c[0].weight.detach() for name in OBJECTIVES]
    for k, ours in enumerate(finals):
        assert not any(torch.equal(ours, other) for other in finals[:k])


@pytest.mark.slow
def test_from_an_earlier_checkpoint_the_lost_steps_come_again_the_same(
    tmp_path: Path, uninterrupted: Whole
):
    whole, _, log = uninterrupted("bank")
    run(tmp_path, OBJECTIVES["bank"], 8)
    os.truncate(tmp_path / "checkpoints" / "step-00000008" / "part-000.safetensors", 100)
    parts, _, said = run(tmp_path, OBJECTIVES["bank"])
    assert len(said) == 1
    assert "step-00000008" in said[0]
    check_equal(parts, whole)
    assert (tmp_path / "log.jsonl").read_bytes() == log


@pytest.mark.slow
def test_a_finished_run_resumes_to_nothing(tmp_path: Path):
    whole, _, _ = run(tmp_path, OBJECTIVES["plain"])
    log = (tmp_path / "log.jsonl").read_bytes()
    again, result, _ = run(tmp_path, OBJECTIVES["plain"])
    assert result.finished
    check_equal(again, whole)
    assert (tmp_path / "log.jsonl").read_bytes() == log


@pytest.mark.slow
def test_a_shorter_run_cannot_take_up_a_longer_one(tmp_path: Path):
    run(tmp_path, OBJECTIVES["plain"])
    with pytest.raises(InputError, match="num_steps"):
        run(tmp_path, OBJECTIVES["plain"], num_steps=5)


@pytest.mark.parametrize(
    "make",
    [
        lambda student: Plain(tiny.student(width=16)),
        OBJECTIVES["snapshot"],
        OBJECTIVES["feature norm"],
    ],
    ids=["width", "ibsd", "feature norm"],
)
def test_a_checkpoint_of_another_run_is_the_users_mistake(
    tmp_path: Path, make: Callable[[Student], Objective]
):
    run(tmp_path, OBJECTIVES["plain"], 3)
    with pytest.raises(InputError, match="checkpoints"):
        run(tmp_path, make)


# -- a killed process: others are in test_kills.py

CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_resume
from ibsd.training import checkpoint
write = checkpoint._write
def dying(path, content):  # the second checkpoint's last file is written, and then nothing more
    write(path, content)
    if "step-00000012" in str(path) and path.name == "checkpoint.json":
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint._write = dying
test_resume.run(Path(sys.argv[1]), test_resume.OBJECTIVES["bank"])
"""


@pytest.mark.slow
def test_a_process_killed_while_saving_resumes_as_if_nothing_had_happened(
    tmp_path: Path, uninterrupted: Whole
):
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    child = Command(tmp_path, Path(__file__).parent, program=script)
    child.communicate()
    assert child.returncode == -9
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert "step-00000006" in left
    assert any(name.endswith("partial") for name in left)
    whole, _, log = uninterrupted("bank")
    parts, _, said = run(tmp_path, OBJECTIVES["bank"])
    assert not said
    check_equal(parts, whole)
    assert (tmp_path / "log.jsonl").read_bytes() == log
    assert not [path for path in (tmp_path / "checkpoints").iterdir() if "partial" in path.name]
