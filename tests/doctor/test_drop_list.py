"""The list of files to leave out: what is written is read back, in its folder or outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ibsd.doctor.drop_list import drop_list, read_drop_list
from ibsd.types import InputError


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    inside, outside = tmp_path / "pairs" / "train_LR" / "a.png", tmp_path / "elsewhere.png"
    for path in (inside, outside):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    text = drop_list({inside: "flat:\nnothing to learn", outside: "damaged"}, tmp_path / "pairs")
    assert "# flat: nothing to learn\ntrain_LR/a.png\n" in text
    (tmp_path / "drop.txt").write_text(text)
    assert read_drop_list(tmp_path / "drop.txt", tmp_path / "pairs") == {inside, outside}


def test_a_list_of_another_folder_is_refused(tmp_path: Path):
    (tmp_path / "drop.txt").write_text("# remark\n\ntrain_LR/a.png\n")
    with pytest.raises(InputError, match="another folder"):
        read_drop_list(tmp_path / "drop.txt", tmp_path)
    (tmp_path / "drop.txt").write_text("# nothing\n")
    assert read_drop_list(tmp_path / "drop.txt", tmp_path) == frozenset()


@pytest.mark.parametrize("name", [b"a\nb.png", b"#.png", b'"a".png', b" a.png", b"\xff.png"])
def test_any_name_is_read_back(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.touch()
    (tmp_path / "drop.txt").write_text(drop_list({path: "flat"}, tmp_path))
    assert read_drop_list(tmp_path / "drop.txt", tmp_path) == {path}
