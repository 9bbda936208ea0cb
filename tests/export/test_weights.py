"""Weight files: the student alone, whole or not at all, and rebuilt from its own metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import tiny
from ibsd.export import save_student
from ibsd.students import load_student
from ibsd.types import InputError


def test_a_file_rebuilds_its_student(tmp_path: Path) -> None:
    student = tiny.student(scale=3)
    again = load_student(save_student(student, tmp_path / "folder" / "a.safetensors"))
    assert again.spec == student.spec
    for key, value in student.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


def test_half_precision_is_rounded_once_and_read_as_fp32(tmp_path: Path) -> None:
    student = tiny.student()
    again = load_student(save_student(student, tmp_path / "a.safetensors", half=True))
    for key, value in student.state_dict().items():
        assert again.state_dict()[key].dtype == torch.float32
        assert torch.equal(again.state_dict()[key], value.half().float())


def test_metadata_are_the_students_and_the_callers(tmp_path: Path) -> None:
    path = save_student(tiny.student(), tmp_path / "a.safetensors", {"step": "7"})
    with safe_open(path, framework="pt") as file:
        metadata, keys = dict(file.metadata()), set(file.keys())
    assert metadata.keys() == {"student", "step"} and metadata["step"] == "7"
    student = json.loads(metadata["student"])
    assert (student["name"], student["scale"]) == ("imdn", 2)
    assert keys == set(tiny.student().state_dict()), "the student alone"


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file, and no folder")
    with pytest.raises(InputError, match="cannot be written"):
        save_student(tiny.student(), tmp_path / "a" / "b.safetensors")
    assert (tmp_path / "a").read_text() == "a file, and no folder"
