"""A file is written whole or not at all."""

from pathlib import Path

import pytest

from ibsd.system import make_folder, write_whole
from ibsd.types import InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "content",
    [b"caf\xc3\xa9", "café", lambda file: file.write("café".encode())],
    ids=["bytes", "text", "function"],
)
def test_content_arrives(tmp_path, content):
    write_whole(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "café"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    (tmp_path / "a.txt").write_text("before")

    def fill_disk(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="a.txt cannot be written .No space left on device."):
        write_whole(tmp_path / "a.txt", fill_disk)
    assert (tmp_path / "a.txt").read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_defect_of_ours_is_not_the_users_and_leaves_nothing(tmp_path):
    def stumble(file):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        write_whole(tmp_path / "a.txt", stumble)
    assert names(tmp_path) == []


def test_a_place_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "file" / "a.txt", "x")


def test_a_folder_is_made_and_tried(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == []
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(InputError, match="file.* cannot be written to"):
            make_folder(place)
