"""Eight bits: near enough, never unasked, and attention keeps its precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ibsd.export import certificate, export_student
from ibsd.export.quantisation import calibration_crops, unquantised_nodes
from ibsd.inference.network import NetworkDescriptor
from ibsd.inference.open import open_network
from ibsd.types import InputError


@pytest.mark.slow
def test_eight_bits_stay_within_their_limit_and_are_never_taken_unasked(
    exported: Callable[[str], Path], folder: Path
) -> None:
    pytest.importorskip("nncf", reason="int8 needs nncf: pip install 'ibsd[int8]'")
    exported("openvino")
    path, checks = export_student(folder / "tiny.safetensors", "openvino", int8=True)
    assert path.name == "tiny-int8.xml"
    assert 'element_type="i8"' in path.read_text(encoding="utf-8"), "weights in eight bits"
    assert min(check.psnr_db for check in checks["int8"]) > certificate.LIMITS_DB["int8"]
    assert open_network(folder / "tiny.safetensors").precision != "int8"
    assert open_network(folder / "tiny.safetensors", precision="int8").precision == "int8"
    with pytest.raises(InputError, match="exported in int8"):
        open_network(path, precision="fp32")


def test_the_ends_the_pointwise_and_attention_keep_their_precision() -> None:
    def node(name: str, kind: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, op_type=kind, input=["x", f"{name}.weight"])

    convolutions = {"first": 3, "middle": 3, "pointwise": 1, "last": 3}
    nodes = [*(node(name, "Conv") for name in convolutions), node("mean", "ReduceMean")]
    weights = [
        SimpleNamespace(name=f"{name}.weight", dims=[8, 8, side, side])
        for name, side in convolutions.items()
    ]
    model = SimpleNamespace(graph=SimpleNamespace(initializer=weights, node=nodes))
    assert unquantised_nodes(model) == ["first", "last", "pointwise", "mean"]


def test_calibration_is_reproducible_and_of_a_size_that_the_network_takes() -> None:
    crops = calibration_crops(NetworkDescriptor("a", 2, 0, False, 1, multiple_px=48))
    assert {crop.shape for crop in crops} == {(1, 3, 144, 144)}
    assert all(crop.dtype == np.float32 and crop.min() >= 0 and crop.max() <= 1 for crop in crops)
    again = calibration_crops(NetworkDescriptor("a", 2, 0, False, 1, multiple_px=48))
    assert all(np.array_equal(one, other) for one, other in zip(crops, again, strict=True))
