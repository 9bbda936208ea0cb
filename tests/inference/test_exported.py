"""Files of exported models: their metadata, names and certificates stay readable."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ibsd.inference.exported import (
    certificate_path,
    certified_model,
    certified_precisions,
    exported_name,
    metadata_block,
    read_metadata,
    sha256_of,
)
from ibsd.inference.network import NetworkDescriptor
from ibsd.types import InputError

OMNISR = NetworkDescriptor(
    "omnisr", 4, 40, True, minimum_size_px=24, multiple_px=8, pads_zeros=True
)
GOLDEN = (
    '{"network": {"name": "omnisr", "scale": 4, "receptive_field_px": 40, "pools_globally": true, '
    '"minimum_size_px": 24, "multiple_px": 8, "tile_px": 256, "pads_zeros": true}, '
    '"weights_sha256": "0a", "precision": "fp32"}'
)
"""As version 0.1.0 wrote it."""


def test_metadata_keep_their_keys() -> None:
    """Files that were made earlier open, and files made now open in earlier versions."""
    assert json.dumps(metadata_block(OMNISR, "0a", "fp32")) == GOLDEN
    assert read_metadata(GOLDEN, Path("a.onnx")) == (OMNISR, "fp32")


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"network": {}, "precision": "fp32"}'])
def test_a_file_without_metadata_is_refused(text: str | None) -> None:
    with pytest.raises(InputError, match=r"a\.onnx does not say what network it holds"):
        read_metadata(text, Path("a.onnx"))


def test_names_lie_beside_the_weights() -> None:
    weights = Path("folder/a.safetensors")
    assert exported_name(weights, "onnx", int8=True) == Path("folder/a-int8.onnx")
    assert exported_name(weights, "openvino") == Path("folder/a.xml")
    assert exported_name(weights, "ncnn") == Path("folder/a-ncnn.param")
    assert exported_name(weights, "safetensors") == Path("folder/a-plain.safetensors")


def test_a_certificate_is_of_one_file_and_one_set_of_weights(tmp_path: Path) -> None:
    weights, model = tmp_path / "a.safetensors", tmp_path / "a.onnx"
    weights.write_bytes(b"weights")
    assert certified_model(weights, "onnx", "auto") is None
    model.write_bytes(b"model")
    assert certified_model(weights, "onnx", "auto") is None, "no certificate"
    certificate = {
        "weights_sha256": sha256_of(weights),
        "files": {"a.onnx": sha256_of(model)},
        "precisions": {"fp32": {"passed": True}, "bf16": {"passed": False}},
    }
    certificate_path(model).write_text(json.dumps(certificate))
    assert certified_precisions(model) == {"fp32"}
    assert certified_model(weights, "onnx", "auto") == model
    assert certified_model(weights, "onnx", "int8") is None, "int8 has a file of its own"
    weights.write_bytes(b"other weights")
    assert certified_model(weights, "onnx", "auto") is None
    model.write_bytes(b"other model")
    assert certified_precisions(model) == set()


def test_a_certificate_is_of_all_files_of_a_model(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.xml", "a.bin")]
    for file in files:
        file.write_bytes(b"model")
    certificate = {
        "files": {file.name: sha256_of(file) for file in files},
        "precisions": {"fp32": {"passed": True}},
    }
    certificate_path(files[0]).write_text(json.dumps(certificate))
    assert certified_precisions(files[0]) == {"fp32"}
    files[1].write_bytes(b"other numbers")
    assert certified_precisions(files[0]) == set()
    files[1].unlink()
    assert certified_precisions(files[0]) == set()


def test_a_file_that_cannot_be_hashed_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such weight file"):
        sha256_of(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read"):
        sha256_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", 0),
        ("scale", -4),
        ("scale", 4.5),
        ("scale", float("nan")),
        ("scale", True),
        ("scale", None),
        ("multiple_px", 0),
        ("multiple_px", 10**9),
        ("tile_px", "256"),
        ("tile_px", 0),
        ("receptive_field_px", []),
        ("receptive_field_px", -1),
        ("minimum_size_px", {}),
        ("minimum_size_px", 10**9),
        ("pools_globally", 3),
        ("name", 7),
    ],
)
def test_metadata_that_lie_are_one_sentence(name: str, value: object) -> None:
    block = json.loads(GOLDEN)
    block["network"][name] = value
    with pytest.raises(InputError, match=rf"a\.onnx says that its {name} is") as caught:
        read_metadata(json.dumps(block), Path("a.onnx"))
    assert len(str(caught.value)) < 200


def test_metadata_of_another_precision_or_too_deep() -> None:
    with pytest.raises(InputError, match="its precision is"):
        read_metadata(GOLDEN.replace("fp32", "fp3"), Path("a.onnx"))
    with pytest.raises(InputError, match="does not say what network"):
        read_metadata("[" * 100_000, Path("a.onnx"))


@pytest.mark.parametrize("precisions", ["7", '{"fp32": 1}', "[" * 100_000])
def test_a_certificate_of_another_form_certifies_nothing(tmp_path: Path, precisions: str) -> None:
    model = tmp_path / "a.onnx"
    model.write_bytes(b"model")
    files = json.dumps({"a.onnx": sha256_of(model)})
    text = f'{{"files": {files}, "precisions": {precisions}}}'
    certificate_path(model).write_text(text)
    assert certified_precisions(model) == set()


def test_a_pipe_in_the_place_of_a_certificate_is_not_waited_for(tmp_path: Path) -> None:
    model = tmp_path / "a.onnx"
    model.write_bytes(b"model")
    os.mkfifo(certificate_path(model))
    assert certified_precisions(model) == set()
    with pytest.raises(InputError, match="it is no file"):
        sha256_of(certificate_path(model))
