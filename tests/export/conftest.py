"""A narrow student and its exports, each made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tiny
from ibsd.export import export_student, save_student
from ibsd.inference.exported import exported_name


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.safetensors. Tests add exports to it, each under its own name, and change nothing
    else."""
    folder = tmp_path_factory.mktemp("exports")
    save_student(tiny.student(scale=3), folder / "tiny.safetensors")
    return folder


@pytest.fixture(scope="session")
def exported(folder: Path) -> Callable[[str], Path]:
    """The export in a format, made when it is first asked for. A slow format is used in one file of
    tests alone, because workers do not share it."""

    def export(format: str) -> Path:
        runtime = {"onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn"}
        pytest.importorskip(runtime.get(format, "torch"))
        pytest.importorskip("pnnx" if format == "ncnn" else "onnxscript")
        path = exported_name(folder / "tiny.safetensors", format)
        return path if path.exists() else export_student(folder / "tiny.safetensors", format)[0]

    return export
