"""Checkpoints: what goes in comes out, damage is noticed, and a failed save costs nothing that was
there."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ibsd.training import checkpoint
from ibsd.training.checkpoint import (
    list_checkpoints,
    load_checkpoint,
    load_newest,
    load_resumable,
    save_checkpoint,
)
from ibsd.types import InputError

DTYPES = (
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.uint8,
    torch.bool,
)


def silent(sentence: str) -> None:
    pytest.fail(f"nothing to say, but: {sentence}")


def state(value: float = 1.0) -> dict[str, Any]:
    return {
        "weights": {"a": torch.full((4, 3), value), "b": torch.arange(5)},
        "count": 3,
        "groups": [{"lr": 1e-4, "betas": [0.9, 0.99]}],
    }


def same(ours: Any, theirs: Any) -> None:
    """Equal in structure, types, dtypes, shapes and bits; a tuple may have become a list."""
    if isinstance(theirs, torch.Tensor):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert torch.equal(ours.view(-1), theirs.reshape(-1))
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for x, y in zip(ours, theirs, strict=True):
            same(x, y)
    elif isinstance(theirs, float) and math.isnan(theirs):
        assert math.isnan(ours)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


TENSORS = st.builds(
    lambda dtype, shape: (torch.arange(math.prod(shape)) % 3).to(dtype).view(shape),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 4), max_size=3),
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
STATES = st.recursive(
    PLAIN | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=15)
@given(content=st.dictionaries(st.text(max_size=3), STATES, max_size=3))
def test_what_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]):
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder, 7, content, keep=1)
    step, loaded = load_newest(folder, silent)
    assert step == 7
    same(loaded, content)


def test_tensors_that_share_memory_or_are_no_rows_come_out_too(tmp_path: Path):
    base = torch.arange(24.0).view(2, 3, 4)
    content = {
        "view": base[:, 1],
        "whole": base,
        "turned": base.transpose(0, 2),
        "last": torch.rand(2, 4, 3, 3).to(memory_format=torch.channels_last),
    }
    save_checkpoint(tmp_path, 1, content, keep=1)
    same(load_newest(tmp_path, silent)[1], content)


def test_it_is_a_copy_not_a_view_of_living_memory(tmp_path: Path):
    content = {"w": torch.zeros(3)}
    save_checkpoint(tmp_path, 1, content, keep=1)
    content["w"].fill_(9)
    assert load_newest(tmp_path, silent)[1]["w"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(100,), (13, 17), (1, 300), (2, 1, 200), (300, 1)])
def test_large_tensors_are_split_and_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
):
    monkeypatch.setattr(checkpoint, "PART_BYTES", 256)
    content = {
        "big": torch.rand(shape),
        "small": torch.rand(3),
        "many": [torch.rand(10) for _ in range(20)],
    }
    path = save_checkpoint(tmp_path, 1, content, keep=1)
    same(load_newest(tmp_path, silent)[1], content)
    parts = list(path.glob("*.safetensors"))
    assert len(parts) > 2
    for part in parts:
        data = sum(tensor.nbytes for tensor in checkpoint.load(part.read_bytes()).values())
        assert data <= 256, f"{part.name} holds {data} bytes of tensors"


@pytest.mark.slow
def test_no_part_reaches_16_mb(tmp_path: Path):
    path = save_checkpoint(
        tmp_path, 1, {"big": torch.ones(1, 10_000_000), "rest": torch.ones(1000)}, keep=1
    )
    assert max(part.stat().st_size for part in path.iterdir()) < 16_000_000
    loaded = load_newest(tmp_path, silent)[1]["big"]
    assert loaded.shape == (1, 10_000_000)
    assert float(loaded.sum()) == 10_000_000


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_stay(tmp_path: Path, keep: int):
    for step in (5, 9, 10, 100, 2000):
        save_checkpoint(tmp_path, step, state(step), keep)
    kept = [5, 9, 10, 100, 2000][-keep:]
    assert [int(path.name.removeprefix("step-")) for path in list_checkpoints(tmp_path)] == kept
    assert load_newest(tmp_path, silent)[0] == 2000
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_the_same_step_twice_takes_the_later(tmp_path: Path):
    save_checkpoint(tmp_path, 5, state(1), keep=1)
    save_checkpoint(tmp_path, 5, state(2), keep=1)
    same(load_newest(tmp_path, silent)[1], state(2))
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_save_left_is_neither_read_nor_kept(tmp_path: Path):
    save_checkpoint(tmp_path, 5, state(1), keep=2)
    left = tmp_path / ".step-00000009.12345.partial"
    left.mkdir()
    (left / "checkpoint.json").write_text("{")
    assert load_newest(tmp_path, silent)[0] == 5
    save_checkpoint(tmp_path, 6, state(2), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000005", "step-00000006"]


def test_an_empty_folder_has_none(tmp_path: Path):
    assert load_newest(tmp_path, silent) is None
    assert load_newest(tmp_path / "missing", silent) is None


# -- damage


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0x10
    path.write_bytes(content)


def change_digit(path: Path) -> None:
    content = path.read_text()
    assert content.count('["count", {"value": 3}]') == 1
    path.write_text(content.replace('["count", {"value": 3}]', '["count", {"value": 4}]'))


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a bit in the header of a part": ("part-000.safetensors", lambda path: flip(path, 0.05)),
    "a bit in the data of a part": ("part-000.safetensors", lambda path: flip(path, 0.98)),
    "a cut part": ("part-000.safetensors", lambda path: os.truncate(path, path.stat().st_size - 1)),
    "an empty part": ("part-000.safetensors", lambda path: os.truncate(path, 0)),
    "a missing part": ("part-000.safetensors", Path.unlink),
    "a cut json": ("checkpoint.json", lambda path: os.truncate(path, path.stat().st_size - 3)),
    "an empty json": ("checkpoint.json", lambda path: os.truncate(path, 0)),
    "a missing json": ("checkpoint.json", Path.unlink),
    "another json": (
        "checkpoint.json",
        lambda path: path.write_text('{"format": 1, "step": 9, "parts": {}, "state": {}}'),
    ),
    "a list": ("checkpoint.json", lambda path: path.write_text("[]")),
    "zeros": ("checkpoint.json", lambda path: path.write_bytes(bytes(path.stat().st_size))),
    "a later format": (
        "checkpoint.json",
        lambda path: path.write_text(path.read_text().replace('"format": 2', '"format": 3')),
    ),
    "a digit in the json": ("checkpoint.json", change_digit),
    "an empty checksum": ("checkpoint.json.sha256", lambda path: os.truncate(path, 0)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_is_passed_over_and_said(tmp_path: Path, kind: str):
    save_checkpoint(tmp_path, 5, state(1), keep=3)
    newest = save_checkpoint(tmp_path, 9, state(2), keep=3)
    name, damage = DAMAGE[kind]
    damage(newest / name)
    said: list[str] = []
    step, loaded = load_newest(tmp_path, said.append)
    assert step == 5
    same(loaded, state(1))
    assert len(said) == 1
    assert "step-00000009" in said[0]
    with pytest.raises(InputError, match="step-00000009"):
        load_checkpoint(newest)


def test_if_all_are_damaged_the_user_is_told_rather_than_started_anew(tmp_path: Path):
    for step in (5, 9):
        os.truncate(save_checkpoint(tmp_path, step, state(), keep=3) / "part-000.safetensors", 3)
    with pytest.raises(InputError, match="none of its 2"):
        load_newest(tmp_path, lambda sentence: None)


def test_a_part_name_cannot_lead_out_of_the_folder(tmp_path: Path):
    newest = save_checkpoint(tmp_path / "run", 5, state(), keep=1)
    (tmp_path / "part-000.safetensors").write_bytes((newest / "part-000.safetensors").read_bytes())
    (newest / "part-000.safetensors").unlink()
    facts = json.loads((newest / "checkpoint.json").read_text())
    facts["parts"] = {"../../part-000.safetensors": next(iter(facts["parts"].values()))}
    (newest / "checkpoint.json").write_text(json.dumps(facts))
    (newest / "checkpoint.json.sha256").unlink()
    with pytest.raises(InputError):
        load_checkpoint(newest)


# -- saves that fail


@contextmanager
def files_no_longer_than(limit_bytes: int) -> Iterator[None]:
    """The operating system refuses longer files (Python ignores the signal, so the write fails with
    an error)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_leaves_the_earlier_and_no_rubbish(tmp_path: Path):
    save_checkpoint(tmp_path, 5, state(1), keep=1)
    with files_no_longer_than(100_000), pytest.raises(InputError, match="step-00000009"):
        save_checkpoint(tmp_path, 9, {"big": torch.ones(200_000)}, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]
    same(load_newest(tmp_path, silent)[1], state(1))
    save_checkpoint(tmp_path, 9, {"big": torch.ones(200_000)}, keep=1)  # once there is room
    assert load_newest(tmp_path, silent)[0] == 9


def test_a_full_disk_leaves_the_earlier_and_no_rubbish(tmp_path: Path):
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        run = tmp_path / "run"
        save_checkpoint(run, 5, state(1), keep=1)
        with pytest.raises(InputError, match=r"No space left.*free some space"):
            save_checkpoint(run, 9, {"weights": torch.ones(400_000)}, keep=1)
        assert [path.name for path in run.iterdir()] == ["step-00000005"]
        same(load_newest(run, silent)[1], state(1))
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="step-00000001"):
        save_checkpoint(tmp_path / "file" / "run", 1, state(), keep=1)


def test_objects_do_not_go_in(tmp_path: Path):
    with pytest.raises(AssertionError, match="does not go into a checkpoint"):
        save_checkpoint(tmp_path, 1, {"a": {"b": object()}}, keep=1)
    assert not list(tmp_path.iterdir())


def test_the_format_before_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Format 1 did not say how many processes wrote it: one."""
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    save_checkpoint(tmp_path, 5, state(1), keep=1)
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    same(load_newest(tmp_path, silent)[1], {"processes": 1} | state(1))


def test_only_a_run_of_as_many_steps_and_processes_goes_on(tmp_path: Path):
    assert load_resumable(tmp_path, 9, 2, silent) is None
    save_checkpoint(tmp_path, 5, {"processes": 2}, keep=1)
    assert load_resumable(tmp_path, 5, 2, silent) == (5, {"processes": 2})
    with pytest.raises(InputError, match="raise num_steps"):
        load_resumable(tmp_path, 4, 2, silent)
    with pytest.raises(InputError, match="written by 2 processes, and this is a run of 1"):
        load_resumable(tmp_path, 5, 1, silent)
