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
from ibsd.training.execution import open_trackers
from ibsd.training.tracking import JsonLines, TensorBoard, read_json_lines
from ibsd.types import InputError


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


@pytest.mark.slow
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


DAMAGED = {
    "binary": bytes(range(256)) * 4,
    "foreign": b'7\n[1]\nnull\n"step"\n{}\n{"step": "1"}\n{"step": null}\n',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_log_keeps_its_sound_lines(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1, "a": 2.0}\n' + DAMAGED[kind] + b'\n{"step": 2, "a": 3.0}\n')
    assert [line["step"] for line in read_json_lines(path)] == [1, 2]
    log = JsonLines(path, resumed_step=5)
    log.close()
    assert log.last_step == 2
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_what_lies_in_the_place_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(InputError, match="is a folder where the log"):
        JsonLines(tmp_path / "log.jsonl")
    pytest.importorskip("tensorboardX")
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(InputError, match="tensorboard cannot be written to"):
        TensorBoard(tmp_path / "tensorboard")


@pytest.mark.parametrize(
    ("last", "said"), [(0, "1 to 25"), (10, "11 to 25"), (20, None), (25, None)]
)
def test_a_gap_in_the_log_is_said(tmp_path: Path, last: int, said: str | None) -> None:
    steps = range(10, last + 1, 10)
    (tmp_path / "log.jsonl").write_text("".join(f'{{"step": {step}}}\n' for step in steps))
    if last == 25:
        (tmp_path / "log.jsonl").write_text('{"step": 25}\n')
    messages: list[str] = []
    for tracker in open_trackers(tmp_path, 25, False, 10, messages.append):
        tracker.close()
    assert len(messages) == (said is not None)
    assert said is None or f"a gap from step {said}" in messages[0]


def test_a_folder_beside_the_log_is_not_in_its_way(tmp_path: Path) -> None:
    (tmp_path / "log.partial").mkdir()
    JsonLines(tmp_path / "log.jsonl").close()
