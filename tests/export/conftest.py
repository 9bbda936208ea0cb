"""A narrow student with one of each export, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from ibsd.export import save_student


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.safetensors. Tests add exports to it, each under its own name, and change nothing
    else."""
    folder = tmp_path_factory.mktemp("exports")
    save_student(tiny.student(scale=3), folder / "tiny.safetensors")
    return folder


def exported(folder: Path, format: str) -> Path:
    """The export, made at its first use."""
    pytest.importorskip(
        {"onnx": "onnxruntime", "openvino": "openvino", "ncnn": "ncnn"}.get(format, "torch")
    )
    pytest.importorskip("pnnx" if format == "ncnn" else "onnxscript")
    from ibsd.export.export import export_student
    from ibsd.inference.exported import exported_name

    path = exported_name(folder / "tiny.safetensors", format)
    return path if path.exists() else export_student(folder / "tiny.safetensors", format)[0]
