"""Weight files: everything published loads, everything broken is named, nothing is executed."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

import tiny
from ibsd.students import Student, create_student, load_student
from ibsd.types import InputError

PREFIXES = ("", "module.", "module._orig_mod.")


def prefixed(student: Student, prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value.clone() for key, value in student.state_dict().items()}


def same_network(ours: Student, theirs: Student) -> None:
    assert ours.spec == theirs.spec
    assert not ours.training
    state = theirs.state_dict()
    assert ours.state_dict().keys() == state.keys()
    for key, value in ours.state_dict().items():
        assert torch.equal(value, state[key]), key
        assert value.dtype == torch.float32


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("nest", [None, "params_ema", "params", "state_dict", "net_g"])
def test_published_pth_files(tmp_path: Path, prefix: str, nest: str | None):
    student = tiny.student(seed=3)
    state = prefixed(student, prefix)
    torch.save(state if nest is None else {nest: state, "epoch": 3}, tmp_path / "x.pth")
    same_network(load_student(tmp_path / "x.pth"), student)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_safetensors_files(tmp_path: Path, prefix: str):
    student = tiny.student(seed=4)
    save_file(prefixed(student, prefix), tmp_path / "x.safetensors")
    same_network(load_student(str(tmp_path / "x.safetensors")), student)


def test_the_averaged_weights_are_preferred(tmp_path: Path):
    raw, averaged = tiny.student(seed=1), tiny.student(seed=2)
    torch.save(
        {"params": raw.state_dict(), "params_ema": averaged.state_dict()}, tmp_path / "x.pth"
    )
    same_network(load_student(tmp_path / "x.pth"), averaged)


def test_files_of_other_trainers_load_or_say_what_they_hold(tmp_path: Path):
    student = tiny.student(seed=5)
    averaged = prefixed(student, "module.") | {"n_averaged": torch.tensor(3)}
    torch.save({"model_state_dict": averaged, "epoch": 3}, tmp_path / "averaged.pth")
    same_network(load_student(tmp_path / "averaged.pth"), student)
    torch.save(prefixed(student, "net_g.") | {"net_d.a": torch.zeros(1)}, tmp_path / "both.pth")
    assert "its first keys are net_g." in refused(tmp_path / "both.pth")
    torch.save({"epoch": 1, "optimizers": []}, tmp_path / "training.state")
    assert "'epoch', 'optimizers'" in refused(tmp_path / "training.state")
    torch.save(student, tmp_path / "whole.pth")
    assert "state_dict()" in refused(tmp_path / "whole.pth")
    torch.save(prefixed(student, "") | {"extra": torch.zeros(1)}, tmp_path / "more.pth")
    assert "also holds 'extra'" in refused(tmp_path / "more.pth")


@pytest.mark.parametrize(("scale", "width", "blocks"), [(2, 8, 3), (3, 12, 4), (4, 4, 7)])
def test_scale_width_and_depth_come_from_the_keys(
    tmp_path: Path, scale: int, width: int, blocks: int
):
    student = create_student("imdn", scale=scale, width=width, num_blocks=blocks)
    save_file(student.state_dict(), tmp_path / "x.safetensors")
    same_network(load_student(tmp_path / "x.safetensors"), student)


def test_what_shapes_cannot_tell_comes_from_our_metadata(tmp_path: Path):
    student = create_student("imdn", scale=2, width=8, num_blocks=4, node_blocks=(1, 2, 4))
    save_file(
        student.state_dict(),
        tmp_path / "x.safetensors",
        {"student": json.dumps({"name": "imdn", "options": student.spec.options})},
    )
    loaded = load_student(tmp_path / "x.safetensors")
    assert loaded.spec == student.spec


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_fp32(tmp_path: Path, dtype: torch.dtype):
    student = tiny.student().to(dtype)
    save_file(student.state_dict(), tmp_path / "x.safetensors")
    loaded = load_student(tmp_path / "x.safetensors")
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
    assert torch.equal(
        loaded.state_dict()["c.0.weight"], student.state_dict()["c.0.weight"].float()
    )


class Bomb:
    """Unpickled carelessly, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_with_code_is_refused_and_the_code_does_not_run(tmp_path: Path, legacy: bool):
    torch.save(
        {"params": tiny.student().state_dict(), "bomb": Bomb(tmp_path / "ran")},
        tmp_path / "x.pth",
        _use_new_zipfile_serialization=not legacy,
    )
    with pytest.raises(InputError, match=r"x\.pth"):
        load_student(tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), protocol=2))
    with pytest.raises(InputError, match=r"y\.pth"):
        load_student(tmp_path / "y.pth")
    assert not (tmp_path / "ran").exists()
    pickle.loads(
        pickle.dumps(Bomb(tmp_path / "ran"))
    )  # the bomb is live: careless code would have run it
    assert (tmp_path / "ran").exists()


def refused(path: Path) -> str:
    with pytest.raises(InputError) as refusal:
        load_student(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One sound file of each kind, as bytes."""
    folder, student = tmp_path_factory.mktemp("sound"), tiny.student()
    save_file(student.state_dict(), folder / "a.safetensors")
    torch.save(student.state_dict(), folder / "b.pth")
    torch.save(student.state_dict(), folder / "c.pth", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.safetensors", "b.pth", "c.pth"])
@given(share=st.floats(0, 0.999))
def test_truncated_anywhere_is_refused_by_name(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, name: str, share: float
):
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(files[name][: int(share * len(files[name]))])
    refused(path)


@pytest.mark.parametrize("name", ["a.safetensors", "b.pth", "c.pth"])
@given(data=st.data())
@pytest.mark.slow
def test_scrambled_headers_are_refused_or_load_but_never_crash(
    files: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    data: st.DataObject,
):
    content = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 3000))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("scrambled") / name
    path.write_bytes(bytes(content))
    with contextlib.suppress(InputError):
        load_student(path)


def test_what_holds_no_network(tmp_path: Path):
    refused(tmp_path / "missing.pth")
    refused(tmp_path)
    (tmp_path / "empty.pth").touch()
    refused(tmp_path / "empty.pth")
    (tmp_path / "text.pth").write_text("hello")
    refused(tmp_path / "text.pth")
    (tmp_path / "picture.safetensors").write_bytes(b"\x89PNG\r\n" + bytes(200))
    refused(tmp_path / "picture.safetensors")
    for number, content in enumerate(
        ({}, [], torch.zeros(3), {"params": {}}, {"a": 3}, {"params": [torch.zeros(2)]})
    ):
        path = tmp_path / f"odd{number}.pth"
        torch.save(content, path)
        refused(path)


def test_another_networks_weights_are_refused_by_their_keys(tmp_path: Path):
    save_file(
        {"conv_first.weight": torch.zeros(64, 3, 3, 3), "body.0.bias": torch.zeros(64)},
        tmp_path / "x.safetensors",
    )
    message = refused(tmp_path / "x.safetensors")
    assert "imdn" in message
    assert "body.0.bias" in message


def damaged(kind: str) -> dict[str, Tensor]:
    state = dict(tiny.student().state_dict())
    if kind == "extra":
        state["IMDB1.cca.extra"] = torch.zeros(1)
    elif kind == "missing":
        del state["IMDB2.c3.bias"]
    elif kind == "shape":
        state["IMDB2.c3.bias"] = torch.zeros(9)
    elif kind == "gap":
        state = {key: value for key, value in state.items() if not key.startswith("IMDB2.")}
    elif kind == "x8":
        state["upsampler.0.weight"], state["upsampler.0.bias"] = (
            torch.zeros(192, 8, 3, 3),
            torch.zeros(192),
        )
    elif kind == "colours":
        state["upsampler.0.weight"], state["upsampler.0.bias"] = (
            torch.zeros(4, 8, 3, 3),
            torch.zeros(4),
        )
    elif kind == "width 6":
        state["fea_conv.weight"] = torch.zeros(6, 3, 3, 3)
    elif kind == "scalar":
        state["upsampler.0.weight"] = torch.zeros(())
    elif kind == "empty":
        state["fea_conv.weight"] = torch.zeros(0)
    return state


@pytest.mark.parametrize(
    "kind", ["extra", "missing", "shape", "gap", "x8", "colours", "width 6", "scalar", "empty"]
)
def test_a_modified_network_is_refused(tmp_path: Path, kind: str):
    save_file(damaged(kind), tmp_path / "x.safetensors")
    refused(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "note",
    [
        "",
        "{",
        "[]",
        '"imdn"',
        '{"options": 3}',
        '{"options": {"colour": 1}}',
        '{"options": {"width": 7}}',
        '{"options": {"scale": 3}}',
        '{"options": {"name": "x"}}',
    ],
)
def test_metadata_that_makes_no_sense_is_refused_by_name(tmp_path: Path, note: str):
    save_file(tiny.student().state_dict(), tmp_path / "x.safetensors", {"student": note})
    refused(tmp_path / "x.safetensors")


def test_unknown_name_lists_the_known():
    with pytest.raises(InputError, match=r"imdn"):
        create_student("imnd")
    with pytest.raises(InputError, match="no option num_feat; there are: width, num_blocks"):
        create_student("imdn", num_feat=48)
