"""Logs: every line is JSON, a resumed one has each step once, and figures that are no numbers break
nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import tiny
from ibsd.distillation import Plain
from ibsd.training import Trainer, TrainingOptions
from ibsd.training.tracking import JsonLines, TensorBoard, read_json_lines


def test_lines_are_strict_json_even_for_what_is_no_number(tmp_path: Path):
    log = JsonLines(tmp_path / "run" / "log.jsonl")
    log.write(3, {"loss": 0.5, "odd": math.nan, "huge": math.inf})
    log.close()
    text = (tmp_path / "run" / "log.jsonl").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "step": 3,
        "loss": 0.5,
        "odd": None,
        "huge": None,
    }


def test_a_line_is_on_the_disk_at_once(tmp_path: Path):
    log = JsonLines(tmp_path / "log.jsonl")
    log.write(1, {"loss": 1.0})
    assert read_json_lines(tmp_path / "log.jsonl") == [{"step": 1, "loss": 1.0}]
    log.close()


def test_resuming_drops_what_will_come_again_and_what_a_kill_cut(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"step": 5, "a": 1}\n{"step": 10, "a": 2}\n{"step": 15, "a": 3}\n{"step": 20, "a"'
    )
    log = JsonLines(path, resumed_step=10)
    log.write(15, {"a": 4})
    log.close()
    assert [(line["step"], line["a"]) for line in read_json_lines(path)] == [
        (5, 1),
        (10, 2),
        (15, 4),
    ]
    assert path.read_text().endswith("\n")
    assert [each.name for each in tmp_path.iterdir()] == ["log.jsonl"]


def test_starting_anew_starts_an_empty_log(tmp_path: Path):
    (tmp_path / "log.jsonl").write_text('{"step": 5}\n')
    JsonLines(tmp_path / "log.jsonl").close()
    assert (tmp_path / "log.jsonl").read_text() == ""


def test_logged_terms_are_means_over_their_window(tmp_path: Path):
    every, windows = ([JsonLines(tmp_path / name)] for name in ("every.jsonl", "windows.jsonl"))
    for trackers, log_every in ((every, 1), (windows, 4)):
        Trainer(
            Plain(tiny.student()),
            tiny.source(),
            TrainingOptions(num_steps=10, log_every=log_every, diagnostics_every=0),
            trackers=trackers,
        ).run()
    losses = [line["term/l1"] for line in read_json_lines(tmp_path / "every.jsonl")]
    lines = read_json_lines(tmp_path / "windows.jsonl")
    assert [line["step"] for line in lines] == [4, 8, 10]
    assert [line["term/l1"] for line in lines] == pytest.approx(
        [sum(losses[:4]) / 4, sum(losses[4:8]) / 4, sum(losses[8:]) / 2]
    )


def test_tensorboard_takes_the_same_figures(tmp_path: Path):
    board = TensorBoard(tmp_path)
    board.write(1, {"loss": 0.5, "odd": math.nan})
    board.close()
    assert any(path.stat().st_size > 50 for path in tmp_path.iterdir())
