"""A model is made once, kept while it is whole and the user's own, and never stands in the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tiny
from ibsd.commands import fast_weights as module
from ibsd.commands.fast_weights import fast_weights
from ibsd.export import save_student
from ibsd.inference.open import open_network


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(module.VARIABLE)
    return save_student(tiny.student(), tmp_path / "tiny.safetensors")


@pytest.mark.slow
def test_a_model_is_made_once_and_again_when_it_is_damaged(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    model = fast_weights(weights, log=said.append)
    first = shutil.copytree(model.parent, tmp_path / "first")

    def copied(weights: Path, runtime: str, target: Path) -> None:
        """The same export again, without its seconds."""
        shutil.copytree(first, target.parent, dirs_exist_ok=True)

    monkeypatch.setattr("ibsd.export.export_student", copied)
    assert model.is_relative_to(tmp_path / "cache" / "ibsd")
    assert open_network(model).backend == "openvino"
    assert fast_weights(weights, log=said.append) == model
    assert len(said) == 1, said
    content = model.with_suffix(".bin").read_bytes()
    model.with_suffix(".bin").write_bytes(content[:-4] + b"abcd")
    assert fast_weights(weights, log=said.append) == model
    assert (len(said), model.with_suffix(".bin").read_bytes()) == (2, content)
    model.chmod(0o666)  # anybody may have written it
    assert fast_weights(weights, log=said.append) == model
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
