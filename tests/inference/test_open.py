"""What `open_network` refuses, and the network of a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.inference.open import open_network
from ibsd.types import InputError


def test_wrong_words_are_refused(weights: Path, tmp_path: Path) -> None:
    for words, options in [
        ("backend is 'tensorrt'", {"backend": "tensorrt"}),
        ("precision is 'int4'", {"precision": "int4"}),
        ("fp16 runs on CUDA only", {"precision": "fp16", "device": "cpu"}),
        ("openvino has no fp16", {"backend": "openvino", "precision": "fp16"}),
        ("has no model for that beside it: make it with: ibsd export", {"backend": "onnx"}),
        ("--device is 'gpu0'", {"device": "gpu0"}),
    ]:
        with pytest.raises(InputError, match=words):
            open_network(weights, **options)
    with pytest.raises(InputError, match="--device is 'mps'; it must be auto, cpu, cuda or cuda:0"):
        open_network(tmp_path / "a.onnx", device="mps")
    with pytest.raises(InputError, match="no such weight file"):
        open_network(tmp_path / "none.safetensors")


@pytest.mark.parametrize(("suffix", "runtime"), [(".xml", "openvino"), (".onnx", "onnxruntime")])
def test_a_runtime_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, runtime: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"{runtime} is not installed: pip install 'ibsd"):
        open_network(tmp_path / f"a{suffix}")


def test_shipped_weights_open_by_name() -> None:
    network = open_network("imdn-x4", backend="torch", precision="fp32")
    assert (network.scale, network.backend, network.precision) == (4, "torch", "fp32")
