"""What `open_network` refuses, and the network of a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ibsd.data.samples import SPLITS, sample_pair
from ibsd.images.rgb import to_tensor
from ibsd.inference.open import open_network
from ibsd.inference.parity import certificate_picture, psnr_db
from ibsd.metrics.perceptual import lpips
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


# -- look


@pytest.mark.slow
def test_a_look_is_the_same_network_on_each_backend() -> None:
    pytest.importorskip("openvino")
    lr = certificate_picture(16, 24)
    outputs = {
        look: [
            open_network("imdn-safe-x4", backend=backend, precision="fp32", look=look)(lr)
            for backend in ("openvino", "torch")
        ]
        for look in (0.0, 0.4, 1.0)
    }
    assert all(psnr_db(*pair) > 100 for pair in outputs.values())
    crisp = open_network("imdn-crisp-x4", backend="torch", precision="fp32")(lr)
    assert psnr_db(outputs[1.0][0], crisp) > 100
    assert psnr_db(outputs[0.4][0], crisp) < 60 > psnr_db(outputs[0.4][0], outputs[0.0][0])


def test_a_look_without_openvino_runs_on_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ibsd.inference.open.installed", lambda backend: backend == "onnx")
    assert open_network("imdn-safe-x4", look=0.5, precision="fp32").backend == "torch"


@pytest.mark.slow
def test_lpips_falls_as_the_look_gets_crisper() -> None:
    lr, hr = sample_pair(SPLITS["val"][0], 4)
    small, large = to_tensor(lr[:64, :64]).numpy(), to_tensor(hr[:256, :256])

    def distance(look: float) -> float:
        sr = open_network("imdn-safe-x4", precision="fp32", look=look)(small)
        return float(lpips(torch.from_numpy(sr), large).mean())

    distances = [distance(look) for look in (0, 0.5, 1)]
    assert distances == sorted(distances, reverse=True), distances


@pytest.mark.parametrize(
    ("weights", "options", "words"),
    [
        ("imdn-safe-x4", {"look": 1.5}, "look is 1.5: choose a number from 0"),
        ("imdn-safe-x4", {"look": float("nan")}, "look is nan"),
        ("imdn-x2", {"look": 0.5}, "imdn-x2 has no crisp weights"),
        ("imdn-safe-x4", {"look": 0.5, "backend": "onnx"}, "ONNX Runtime runs no look"),
    ],
)
def test_a_look_that_cannot_be(weights: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_network(weights, **options)
