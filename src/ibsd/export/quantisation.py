"""Weights and activations in 8 bits, calibrated by nncf on the photographs inside the package."""

from __future__ import annotations

import logging
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.data.samples import SPLITS, sample
from ibsd.inference.exported import NetworkFacts

CALIBRATION_PX = 128
CALIBRATION_PIECES = 4
"""Of each photograph."""

ARITHMETIC = {
    "Add",
    "Greater",
    "Mul",
    "Multiply",
    "ReduceMean",
    "Select",
    "Sqrt",
    "Sub",
    "Subtract",
    "Where",
}
"""What attention is made of, in OpenVINO's and ONNX's words."""


def calibration_pictures(facts: NetworkFacts) -> list[np.ndarray]:
    """Pieces of the photographs that the certificate does not use, float32 [1, 3, 128, 128] in [0,
    1] (larger where the network asks)."""
    side = facts.padded(np.zeros((1, 3, CALIBRATION_PX, CALIBRATION_PX), np.float32)).shape[-1]
    generator, found = np.random.default_rng(0), []
    for name in SPLITS["train"]:
        photograph = sample(name)
        for _ in range(CALIBRATION_PIECES):
            top, left = (
                int(generator.integers(0, length - side + 1)) for length in photograph.shape[:2]
            )
            part = photograph[top : top + side, left : left + side].transpose(2, 0, 1)[None]
            found.append((part / np.float32(255)).astype(np.float32))
    return found


def quantised(model: Any, facts: NetworkFacts) -> Any:
    """An OpenVINO or ONNX model in int8: symmetric weights per channel, activations per layer and
    from their least to their largest.

    What comes out of a leaky ReLU hardly goes below zero: activations symmetric about it lost 0.09
    dB instead of 0.006 (shipped IMDN x4).
    Convolutions wider than a pixel are quantised but for the first and the last, where a level of
    rounding is a level of the picture. The rest, attention above all, stays as it is: its means and
    contrasts in int8 cost 0.23 dB, for a tenth of the time (`docs/performance.md`).
    """
    import nncf  # pyright: ignore[reportMissingImports]

    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset(calibration_pictures(facts), lambda lr: {"data": lr})
    with redirect_stdout(StringIO()):  # its progress bars
        return nncf.quantize(
            model,
            dataset,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(SPLITS["train"]) * CALIBRATION_PIECES,
            ignored_scope=nncf.IgnoredScope(names=left_as_they_are(model)),
        )


def left_as_they_are(model: Any) -> list[str]:
    """Names of the nodes of an OpenVINO or ONNX model that are not quantised."""
    if hasattr(model, "get_ordered_ops"):
        nodes = [
            (node.get_friendly_name(), node.get_type_name()) for node in model.get_ordered_ops()
        ]
        kernels = {
            node.get_friendly_name(): list(node.get_input_shape(1))[2:]
            for node in model.get_ordered_ops()
            if node.get_type_name() == "Convolution"
        }
    else:
        weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
        nodes = [(node.name, node.op_type) for node in model.graph.node]
        kernels = {
            node.name: weights[node.input[1]][2:]
            for node in model.graph.node
            if node.op_type == "Conv"
        }
    convolutions = list(kernels)
    kept = [
        convolutions[0],
        convolutions[-1],
        *(name for name, kernel in kernels.items() if kernel == [1, 1]),
    ]
    return list(dict.fromkeys([*kept, *(name for name, kind in nodes if kind in ARITHMETIC)]))


def quantise_onnx(source: Path, metadata: str, facts: NetworkFacts, path: Path) -> None:
    import onnx

    from ibsd.inference.exported import METADATA_KEY

    model = quantised(onnx.load(str(source)), facts)
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = metadata
    onnx.save(model, str(path))
