"""Files that claim more than they hold are refused before anything is allocated by their word;
sound ones of every kind are read."""

from __future__ import annotations

import io
import json
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import tiny
from ibsd.export.weights import save_student
from ibsd.students import load_student
from ibsd.types import InputError

LIMIT = 512 * 2**20


@contextmanager
def little_memory() -> Iterator[None]:
    """Only half a gigabyte more than now may be mapped."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(path: Path) -> str:
    with little_memory(), pytest.raises(InputError) as caught:
        load_student(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def safetensors(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


HEADERS = {
    "far too long": (b"{}", 2**63 - 1),
    "longer than the file": (b"{}", 1000),
    "beyond the file": (
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        None,
    ),
    "more than its bytes": (
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}},
        None,
    ),
    "below zero": ({"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}, None),
    "no offsets": ({"a": {"dtype": "F32", "shape": [1]}}, None),
    "of another kind": ([1, 2, 3], None),
    "deep": (b"[" * 100_000 + b"]" * 100_000, None),
    "no text": (b"\xff\xfe" * 8, None),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_malicious_safetensors_header(tmp_path: Path, kind: str):
    header, length = HEADERS[kind]
    refused(safetensors(tmp_path / "bad.safetensors", header, bytes(8), length))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, share: float):
    path = save_student(tiny.student(), tmp_path / "cut.safetensors")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path)


def test_options_that_would_build_a_giant(tmp_path: Path):
    giant = {"name": "imdn", "scale": 2, "options": {"width": 60_000, "num_blocks": 3}}
    path = save_student(
        tiny.student(), tmp_path / "giant.safetensors", {"student": json.dumps(giant)}
    )
    refused(path)


@pytest.mark.parametrize("old", [False, True])
def test_sound_pth_files_are_read(tmp_path: Path, old: bool):
    student = tiny.student()
    torch.save(
        {"params": student.state_dict()}, tmp_path / "a.pth", _use_new_zipfile_serialization=not old
    )
    loaded = load_student(tmp_path / "a.pth")
    assert all(
        torch.equal(loaded.state_dict()[key], value) for key, value in student.state_dict().items()
    )


@pytest.mark.slow
def test_an_archive_that_unpacks_to_more(tmp_path: Path):
    torch.save({"a": torch.zeros(10_000_000)}, file := io.BytesIO())
    with (
        zipfile.ZipFile(file) as archive,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in archive.infolist():
            bomb.writestr(entry.filename, archive.read(entry))
    assert (tmp_path / "bomb.pth").stat().st_size < 100_000
    assert "unpack" in refused(tmp_path / "bomb.pth")


def test_an_old_file_that_announces_more(tmp_path: Path):
    torch.save({"a": torch.zeros(70_000)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pth").read_bytes()
    claimed = content.replace((70_000).to_bytes(4, "little"), (2**30).to_bytes(4, "little"), 2)
    assert claimed != content
    (tmp_path / "a.pth").write_bytes(claimed)
    assert "elements" in refused(tmp_path / "a.pth")


def test_views_that_repeat_a_small_storage(tmp_path: Path):
    torch.save({"a": torch.zeros(1).expand(2**20, 2**20)}, tmp_path / "a.pth")
    assert "larger than itself" in refused(tmp_path / "a.pth")


def test_a_file_that_holds_itself(tmp_path: Path):
    content: dict[str, object] = {}
    content["params"] = content
    torch.save(content, tmp_path / "a.pth")
    assert "holds no tensors" in refused(tmp_path / "a.pth")


def test_more_blocks_than_tensors(tmp_path: Path):
    giant = {"options": {"width": 8, "num_blocks": 10**9}}
    path = save_student(tiny.student(), tmp_path / "a.safetensors", {"student": json.dumps(giant)})
    assert "num_blocks is 1000000000" in refused(path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float):
    student = tiny.student()
    next(student.parameters()).data.view(-1)[3] = value
    assert "holds NaN or infinity" in refused(save_student(student, tmp_path / "a.safetensors"))
