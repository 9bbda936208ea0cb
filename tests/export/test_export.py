"""`export_student`: what it writes, what it refuses, and nothing where a model differs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import ibsd
import tiny
from export import laws
from ibsd.export import ParityError, export_student, save_student
from ibsd.inference.open import open_network
from ibsd.students import Student, create_student, load_student
from ibsd.types import InputError


@pytest.mark.slow
def test_weights_alone_load_elsewhere(exported: Callable[[str], Path], folder: Path) -> None:
    model = exported("safetensors")
    again = load_student(model)
    assert again.spec == tiny.student(scale=3).spec
    for key, value in tiny.student(scale=3).state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
    laws.certificate_says_what_was_run(model, folder / "tiny.safetensors")


@pytest.mark.slow
def test_a_network_that_pads_nothing_itself_is_certified_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """esrt at odd sizes: the weights alone are compared with what torch itself gives."""
    monkeypatch.setattr("ibsd.export.export.parity_sizes", lambda descriptor: [(4, 4), (5, 7)])
    save_student(create_student("esrt", 2, width=16), tmp_path / "a.safetensors")
    path, checks = export_student(tmp_path / "a.safetensors", "safetensors", tmp_path / "folder")
    assert path == tmp_path / "folder" / "a-plain.safetensors"
    assert path.exists()
    assert min(check.psnr_db for check in checks["fp32"]) > 120


def test_a_model_that_differs_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "a.safetensors"
    weights.write_bytes((folder / "tiny.safetensors").read_bytes())

    def other(student: Student, path: Path, metadata: dict[str, str]) -> Path:
        return save_student(tiny.student(seed=1, scale=3), path, metadata)

    monkeypatch.setattr("ibsd.export.export.save_student", other)
    with pytest.raises(ParityError, match="differs from torch"):
        export_student(weights, "safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_mistakes_are_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = folder / "tiny.safetensors"
    for words, arguments in [
        ("format is 'tflite'", {"format": "tflite"}),
        ("not exported in int8", {"format": "ncnn", "int8": True}),
        ("must be a.onnx for onnx", {"format": "onnx", "output": tmp_path / "a.xml"}),
        ("is the weight file itself", {"format": "safetensors", "output": weights, "force": True}),
    ]:
        with pytest.raises(InputError, match=words):
            export_student(weights, **arguments)
    (tmp_path / "a.safetensors").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export_student(weights, "safetensors", tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_text() == "mine"
    (tmp_path / "v1.2" / "tiny-plain.safetensors").mkdir(parents=True)
    with pytest.raises(InputError, match=r"v1\.2/tiny-plain\.safetensors is a folder"):
        export_student(weights, "safetensors", tmp_path / "v1.2")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = r"onnx needs onnx, onnxscript, onnxruntime: .* pip install 'ibsd\[export\]'"
    with pytest.raises(InputError, match=missing):
        export_student(weights, "onnx", tmp_path / "b.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.safetensors", "v1.2"]


def test_weights_that_give_no_numbers_are_not_a_defect(tmp_path: Path) -> None:
    student = tiny.student()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.fill_(1e30)
    save_student(student, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="not a number somewhere: its weights are damaged"):
        export_student(tmp_path / "a.safetensors", "safetensors")


@pytest.mark.slow
def test_a_tapped_network_is_exported_as_it_stands(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    layers = {
        "head": nn.Conv2d(3, 8, 3, padding=1),
        "body": nn.Conv2d(8, 8, 3, padding=1),
        "norm": nn.BatchNorm2d(8),
        "tail": nn.Conv2d(8, 12, 3, padding=1),
        "up": nn.PixelShuffle(2),
    }
    network = nn.Sequential(OrderedDict(layers)).train()
    student = ibsd.tap(network, ["head", "body"])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError, match="give output"):
        export_student(student, "onnx")
    with pytest.raises(InputError, match="save_student"):
        export_student(student, "safetensors", tmp_path / "a.safetensors")
    path, checks = export_student(student, "onnx", tmp_path / "a.onnx")
    assert min(check.psnr_db for check in checks["fp32"]) > 100
    assert open_network(path).scale == 2
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
