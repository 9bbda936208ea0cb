"""What the package brings: it opens by name, is better than bicubic on a photograph it never saw,
and its papers are of this very file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from ibsd.data.degradation import degrade
from ibsd.data.presets import PRESETS
from ibsd.data.samples import sample
from ibsd.images.rgb import bicubic, to_tensor
from ibsd.inference.open import open_network
from ibsd.inference.parity import certificate_picture, psnr_db
from ibsd.metrics import score
from ibsd.students import load_student
from ibsd.types import InputError
from ibsd.weights import SHIPPED, default_weights, named_or_file, weights_file


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_beat_bicubic_under_every_preset(name: str) -> None:
    student = load_student(name)
    scale = student.spec.scale
    assert name.endswith(f"-x{scale}")
    side = 96 // scale * scale
    hr = to_tensor(sample("coffee"))[..., 96 : 96 + side, 96 : 96 + side]
    for preset in PRESETS:
        lr = degrade(hr, scale, PRESETS[preset], torch.Generator().manual_seed(0))
        with torch.inference_mode():
            own, base = (
                score(sr.clamp(0, 1), hr, scale, lpips=False)["basicsr-y"]["psnr_y"]
                for sr in (student(lr), bicubic(lr, scale))
            )
        if scale == 1 and preset == "clean":  # what has no faults changes by less than a level
            assert own > 48
            continue
        assert own > base, preset


@pytest.mark.parametrize("name", SHIPPED)
def test_card_and_entry_are_of_this_file(name: str) -> None:
    path = weights_file(name)
    [resource] = json.loads(path.with_suffix(".json").read_text())["resources"]
    assert resource["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    card = path.with_suffix(".md").read_text()
    assert (
        f"# {name}\n" in card and "## Limits" in card and "| real pairs |" in card
    ) or not name.endswith("x4")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnx"])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_model_computes_what_torch_computes(name: str, backend: str) -> None:
    """From 60 kB beside the weights, whose numbers it reads."""
    pytest.importorskip("openvino" if backend == "openvino" else "onnxruntime")
    network = open_network(name, backend=backend, precision="fp32")
    lr = certificate_picture(13, 24)
    with torch.inference_mode():
        expected = load_student(name)(torch.tensor(lr)).numpy()
    assert psnr_db(network(lr), expected) > 120
    assert weights_file(name).with_suffix(".onnx").stat().st_size < 100_000


@pytest.mark.slow
def test_auto_takes_the_shipped_model_and_needs_no_export() -> None:
    pytest.importorskip("openvino")
    assert open_network("imdn-small-x4", device="cpu").backend == "openvino"


def test_a_name_is_a_file_of_the_package_unless_one_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named_or_file("imdn-x4") == weights_file("imdn-x4")
    (tmp_path / "imdn-small-x4").mkdir()  # of results, called as its weights
    assert named_or_file("imdn-small-x4") == weights_file("imdn-small-x4")
    (tmp_path / "imdn-x4").write_text("mine")
    assert named_or_file("imdn-x4") == Path("imdn-x4")
    assert named_or_file("other.safetensors") == Path("other.safetensors")


def test_the_default_of_a_scale() -> None:
    for scale in (2, 3, 4):
        assert default_weights(scale) == weights_file(f"imdn-safe-x{scale}")
    with pytest.raises(InputError, match="brings no weights for x5, only for"):
        default_weights(5)


def test_a_backend_opens_a_name() -> None:
    assert open_network("imdn-x4", backend="torch", precision="fp32").scale == 4
