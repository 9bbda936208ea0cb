"""`ibsd export` and `ibsd efficiency` as typed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.export import save_student
from ibsd.images.rgb import write_rgb
from ibsd.inference.exported import sha256_of
from ibsd.students import Student, create_student
from ibsd.weights import FOLDER, weights_file

from .conftest import SCALE, Call, assert_one_sentence


def test_export_says_what_it_wrote_and_how_near_it_is(
    ibsd: Call, weights: Path, tmp_path: Path
) -> None:
    said = ibsd("export", weights, "--format", "safetensors", "-o", "plain.safetensors")
    assert said.code == 0, said.err
    nearness = float(
        re.search(r"fp32: (\S+) dB or more", said.out)[1]
    )  # inf, or rounding where kernels differ by memory's order
    assert "plain.safetensors" in said.out and nearness > 140
    assert (tmp_path / "plain.safetensors.certificate.json").is_file()
    assert_one_sentence(
        ibsd("export", weights, "--format", "safetensors", "-o", "plain.safetensors"),
        "plain.safetensors",
        "--force",
    )
    assert_one_sentence(ibsd("export", weights, "--format", "gguf"), "gguf", "onnx")
    assert_one_sentence(ibsd("export", "none.safetensors", "--format", "onnx"), "none.safetensors")


@pytest.mark.slow
def test_a_model_goes_into_a_folder_and_upscales(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    said = ibsd("export", weights, "--format", "openvino", "-o", "models")
    assert said.code == 0, said.err
    model = tmp_path / "models" / f"{weights.stem}.xml"
    assert f"{weights.name} -> models/{model.name}" in said.out
    write_rgb(tmp_path / "a.png", np.full((9, 11, 3), 90, np.uint8))
    said = ibsd("upscale", "a.png", "-o", "b.png", "--weights", model)
    assert said.code == 0, said.err
    with Image.open("b.png") as made:
        assert made.size == (11 * SCALE, 9 * SCALE)


@pytest.mark.slow
def test_shipped_weights_go_by_name_and_nothing_is_written_beside_them(
    ibsd: Call, tmp_path: Path
) -> None:
    before = sorted(FOLDER.iterdir())
    said = ibsd("export", "imdn-small-x4", "--format", "safetensors")
    assert said.code == 0, said.err
    names = ["imdn-small-x4-plain.safetensors", "imdn-small-x4-plain.safetensors.certificate.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    certificate = json.loads((tmp_path / names[1]).read_text())
    assert certificate["weights_sha256"] == sha256_of(weights_file("imdn-small-x4"))
    assert sorted(FOLDER.iterdir()) == before
    assert_one_sentence(ibsd("export", "imdn-x9", "--format", "onnx"), "imdn-x9")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_shipped_weights_run_without_an_export(ibsd: Call, tmp_path: Path, backend: str) -> None:
    write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    said = ibsd("upscale", "a.png", "-o", "b.png", "--weights", "imdn-x4", "--backend", backend)
    assert said.code == 0
    with Image.open(tmp_path / "b.png") as enlarged:
        assert enlarged.size == (32, 32)


@pytest.mark.slow
def test_a_failing_certificate_is_a_defect_and_leaves_nothing(
    ibsd: Call, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(student: Student, path: Path, metadata: dict[str, str]) -> Path:
        return save_student(create_student("imdn", SCALE, width=8, num_blocks=3), path, metadata)

    monkeypatch.setattr("ibsd.export.export.save_student", other)
    said = ibsd("export", weights, "--format", "safetensors", "-o", "plain.safetensors")
    assert said.code == 1
    assert "differs from torch" in said.err and "Traceback" not in said.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="memory is read through resource")
def test_efficiency_counts_by_hand_and_measures(
    ibsd: Call, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    said = ibsd("efficiency", weights, "--size", 16, "--runs", 1, "-o", "sheet.json", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out) == json.loads((tmp_path / "sheet.json").read_text())
    assert_one_sentence(
        ibsd("efficiency", weights, "-o", "sheet.json"), "sheet.json exists already"
    )
    (row,) = json.loads((tmp_path / "sheet.json").read_text())["networks"]
    assert row["backend"] == "torch" and row["latency_ms"] > 0 and row["memory_bytes"] > 0
    assert row["file_bytes"] == weights.stat().st_size
    assert row["lr"] == [16, 16] and row["parameters"] > 0
    assert_one_sentence(ibsd("efficiency"), "name weight files")
