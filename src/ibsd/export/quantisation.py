"""Weights and activations in 8 bits, calibrated by nncf on the photographs inside the package."""

from __future__ import annotations

import importlib
import logging
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.data.samples import SPLITS, sample
from ibsd.inference.exported import METADATA_KEY
from ibsd.inference.network import NetworkDescriptor
from ibsd.inference.silent import import_silent

CALIBRATION_PX = 128
CROPS_PER_PHOTOGRAPH = 4

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
"""The operations of attention, in OpenVINO's and ONNX's names."""


def calibration_crops(descriptor: NetworkDescriptor) -> list[np.ndarray]:
    """Crops of the photographs that the certificate does not use, float32 [1, 3, 128, 128] in [0,
    1]; larger if the network needs it."""
    side = descriptor.padded_size(CALIBRATION_PX, CALIBRATION_PX)[1]
    generator = np.random.default_rng(0)
    crops: list[np.ndarray] = []
    for name in SPLITS["train"]:
        photograph = sample(name)
        for _ in range(CROPS_PER_PHOTOGRAPH):
            height, width = photograph.shape[:2]
            top = int(generator.integers(0, height - side + 1))
            left = int(generator.integers(0, width - side + 1))
            crop = photograph[top : top + side, left : left + side].transpose(2, 0, 1)[None]
            crops.append((crop / np.float32(255)).astype(np.float32))
    return crops


def quantised(model: Any, descriptor: NetworkDescriptor) -> Any:
    """An OpenVINO or ONNX model in int8. Weights are symmetric, with a range for each channel;
    activations reach from their least to their largest value, with a range for each layer.

    The output of a leaky ReLU hardly goes below zero: symmetric activations lost 0.09 dB instead of
    0.006 (shipped IMDN x4). Convolutions wider than a pixel are quantised, except the first and the
    last, where a rounding shows in the picture itself. Everything else, above all attention, keeps
    its precision: its means and contrasts in int8 cost 0.23 dB, for a tenth of the time
    (docs/performance.md).
    """
    nncf: Any = import_silent("nncf")
    nncf.set_log_level(logging.ERROR)

    def as_input(lr: np.ndarray) -> dict[str, np.ndarray]:
        return {"data": lr}

    with redirect_stdout(StringIO()):  # nncf's progress bars
        return nncf.quantize(
            model,
            nncf.Dataset(calibration_crops(descriptor), as_input),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(SPLITS["train"]) * CROPS_PER_PHOTOGRAPH,
            ignored_scope=nncf.IgnoredScope(names=unquantised_nodes(model)),
        )


def unquantised_nodes(model: Any) -> list[str]:
    """Names of the nodes of an OpenVINO or ONNX model that keep their precision."""
    kinds, kernels = _openvino_nodes(model) if _is_openvino(model) else _onnx_nodes(model)
    convolutions = list(kernels)
    pointwise = [name for name, kernel in kernels.items() if kernel == [1, 1]]
    arithmetic = [name for name, kind in kinds if kind in ARITHMETIC]
    return list(dict.fromkeys([convolutions[0], convolutions[-1], *pointwise, *arithmetic]))


def _is_openvino(model: Any) -> bool:
    return hasattr(model, "get_ordered_ops")


def _openvino_nodes(model: Any) -> tuple[list[tuple[str, str]], dict[str, list[int]]]:
    """(name, kind) of every node, and the kernel's height and width of every convolution."""
    nodes = [(node.get_friendly_name(), node) for node in model.get_ordered_ops()]
    kinds = [(name, node.get_type_name()) for name, node in nodes]
    kernels = {
        name: list(node.get_input_shape(1))[2:]
        for name, node in nodes
        if node.get_type_name() == "Convolution"
    }
    return kinds, kernels


def _onnx_nodes(model: Any) -> tuple[list[tuple[str, str]], dict[str, list[int]]]:
    """As `_openvino_nodes`."""
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    kinds = [(node.name, node.op_type) for node in model.graph.node]
    kernels = {
        node.name: weights[node.input[1]][2:] for node in model.graph.node if node.op_type == "Conv"
    }
    return kinds, kernels


def quantise_onnx(source: Path, metadata: str, descriptor: NetworkDescriptor, path: Path) -> None:
    """The ONNX model `source` in int8, with its metadata, as `path`."""
    onnx: Any = importlib.import_module("onnx")
    model = quantised(onnx.load(str(source)), descriptor)
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = metadata
    onnx.save(model, str(path))
