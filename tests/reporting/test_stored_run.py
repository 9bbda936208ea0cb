"""A run's folder is read as it is; what is damaged is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ibsd.reporting.stored_run import read_run_folder, with_distinct_names
from ibsd.types import InputError
from reporting.pages import run_folder, stored_run


def test_names_tell_runs_apart() -> None:
    assert [
        run.name
        for run in with_distinct_names([stored_run("one", "plain"), stored_run("two", "plain")])
    ] == [
        "one",
        "two",
    ]
    assert [
        run.name
        for run in with_distinct_names([stored_run("one", "plain"), stored_run("one", "plain")])
    ] == [
        "1 one",
        "2 one",
    ]


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no run\.json"):
        read_run_folder(tmp_path)
    for content in (
        "",
        "[]",
        "{}",
        '{"config": {"student": 1}}',
        '{"config": {"student": {"name": 1}, "objective": {"name": 2}}}',
    ):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(InputError, match=r"run\.json is damaged"):
            read_run_folder(tmp_path)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("config", "student", "scale"), "4"),
        (("config", "training"), 3),
        (("config", "training", "num_steps"), None),
        (("result",), "done"),
        (("result",), {"step": [], "reason": "finished"}),
        (("result",), {"step": 1, "reason": 5}),
        (("result",), {"step": 1, "reason": "finished", "seconds": "long"}),
        (("processes",), {}),
        (("versions",), []),
    ],
)
def test_a_damaged_run_is_one_sentence(
    where: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path / "run")
    facts = json.loads((folder / "run.json").read_text())
    table = facts
    for key in where[:-1]:
        table = table[key]
    table[where[-1]] = value
    (folder / "run.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        read_run_folder(folder)


def test_of_a_damaged_log_what_is_whole_is_shown(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    lines = [
        '{"step": 1, "term/l1": 0.5}',
        '{"step": "2"}',
        "[1]",
        "{",
        '{"step": 3, "term/l1": "much", "val/psnr_y": [], "b": true, "c": null}',
    ]
    (folder / "log.jsonl").write_text("\n".join(lines))
    assert read_run_folder(folder).rows == [{"step": 1, "term/l1": 0.5}, {"step": 3, "c": None}]
    (folder / "log.jsonl").write_bytes(b"\xff{}")
    assert read_run_folder(folder).rows == []


def test_pictures_of_others_among_a_runs_own_are_left_alone(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    pictures = folder / "validation"
    pictures.mkdir(exist_ok=True)
    for name in ("step-00000004.png", "step-by-step.png"):
        (pictures / name).touch()
    assert pictures / "step-by-step.png" not in read_run_folder(folder).pictures
    assert pictures / "step-00000004.png" in read_run_folder(folder).pictures
