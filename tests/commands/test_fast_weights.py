"""A model is made once, kept while it is whole and the user's own, and never stands in the way."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from unittest.mock import create_autospec

import pytest

import tiny
from ibsd.commands import fast_weights as module
from ibsd.commands.fast_weights import fast_weights
from ibsd.export import export_student, save_student
from ibsd.inference.open import open_network
from ibsd.weights import FOLDER, weights_file


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(module.VARIABLE)
    return save_student(tiny.student(), tmp_path / "tiny.safetensors")


def test_a_model_is_made_once_and_again_when_it_is_damaged(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the model that the package has of these weights: an export takes seconds."""
    weights = tmp_path / "imdn-small-x4.safetensors"
    shutil.copy(weights_file("imdn-small-x4"), weights)

    def copied(weights: Path, runtime: str, target: Path) -> None:
        for ending in (".onnx", ".onnx.certificate.json", ".safetensors"):
            shutil.copy(FOLDER / f"{target.stem}{ending}", target.parent)

    monkeypatch.setattr(
        "ibsd.export.export_student", create_autospec(export_student, side_effect=copied)
    )
    said: list[str] = []
    make = partial(fast_weights, weights, backend="onnx", log=said.append)
    model = make()
    assert model.is_relative_to(tmp_path / "cache" / "ibsd")
    assert open_network(model, backend="onnx").backend == "onnx"
    assert make() == model
    assert len(said) == 1, said
    content = model.read_bytes()
    model.write_bytes(content[:-4] + b"abcd")
    assert make() == model
    assert (len(said), model.read_bytes()) == (2, content)
    model.chmod(0o666)  # anybody may have written it
    assert make() == model
    assert len(said) == 3
    assert [path.parent for path in model.parent.parent.iterdir()] == [tmp_path / "cache" / "ibsd"]


def test_what_stands_in_the_way_is_no_error(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the converter broke")

    said: list[str] = []
    monkeypatch.setattr("ibsd.export.export_student", fail)
    assert fast_weights(weights, log=said.append) == weights
    assert "the converter broke" in said[-1]
    (tmp_path / "cache" / "ibsd").chmod(0o777)
    assert fast_weights(weights, log=said.append) == weights
    monkeypatch.setenv("XDG_CACHE_HOME", str(weights))  # a file
    assert fast_weights(weights, log=said.append) == weights
    assert len(said) == 2


def test_where_no_model_is_faster_the_weights_are_returned(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_make", lambda *_: pytest.fail("a model is made"))
    for options in ({"backend": "torch"}, {"device": "cuda"}, {"precision": "int8"}):
        assert fast_weights(weights, **options) == weights
    assert fast_weights("imdn-x4").suffix == ".safetensors", "its model lies beside it"
    assert fast_weights("missing.safetensors") == Path("missing.safetensors")
    monkeypatch.setenv(module.VARIABLE, "never")
    assert fast_weights(weights) == weights
    monkeypatch.delenv(module.VARIABLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert fast_weights(weights) == weights
