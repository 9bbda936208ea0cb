"""ONNX exports: they compute what torch computes, are taken for their own weights alone, and need
no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from export import laws
from ibsd.export import save_student
from ibsd.inference.exported import certificate_path
from ibsd.inference.open import open_network
from ibsd.types import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(exported: Callable[[str], Path]) -> Path:
    return exported("onnx")


def test_it_gives_what_torch_gives_at_any_size(model: Path) -> None:
    laws.gives_what_torch_gives_at_any_size(model, "onnx")


def test_the_certificate_says_what_was_run(model: Path, folder: Path) -> None:
    laws.certificate_says_what_was_run(model, folder / "tiny.safetensors")


def test_upscaling_needs_no_torch(model: Path, tmp_path: Path) -> None:
    laws.upscales_without_torch(model, tmp_path)


def test_auto_takes_the_model_of_these_weights_and_no_other(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    for file in (model, certificate_path(model), folder / "tiny.safetensors"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "tiny.safetensors"
    pytest.importorskip("openvino")
    assert open_network(weights).backend == "openvino", "which reads the same file"
    assert open_network(weights, backend="onnx").backend == "onnx"
    assert open_network(weights, backend="torch").backend == "torch"
    with pytest.raises(InputError, match="runs on the CPU here|has no model"):
        open_network(weights, backend="onnx", device="cuda")
    with pytest.raises(InputError, match="--int8"):
        open_network(weights, precision="int8")
    with pytest.raises(InputError, match="is a model for onnx, not for torch"):
        open_network(tmp_path / "tiny.onnx", backend="torch")
    with pytest.raises(InputError, match="exported in fp32"):
        open_network(tmp_path / "tiny.onnx", precision="int8")
    save_student(tiny.student(seed=1, scale=3), weights)
    assert open_network(weights).backend == "torch", "a model of other weights must not be taken"
