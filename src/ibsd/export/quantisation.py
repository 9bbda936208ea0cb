"""Weights and activations in 8 bits, calibrated by nncf on the photographs inside the package."""

from __future__ import annotations

import logging
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.data.samples import SPLITS, sample
from ibsd.upscaling.exported import NetworkFacts

CALIBRATION_PX = 128
CALIBRATION_PIECES = 4
"""Of each photograph."""


def calibration_pictures(facts: NetworkFacts) -> list[np.ndarray]:
    """Pieces of the photographs that the certificate does not use, float32 [1, 3, 128, 128] in [0, 1] (larger where the network asks)."""
    side = facts.padded(np.zeros((1, 3, CALIBRATION_PX, CALIBRATION_PX), np.float32)).shape[-1]
    generator, found = np.random.default_rng(0), []
    for name in SPLITS["train"]:
        photograph = sample(name)
        for _ in range(CALIBRATION_PIECES):
            top, left = (int(generator.integers(0, length - side + 1)) for length in photograph.shape[:2])
            part = photograph[top : top + side, left : left + side].transpose(2, 0, 1)[None]
            found.append((part / np.float32(255)).astype(np.float32))
    return found


def quantised(model: Any, facts: NetworkFacts) -> Any:
    """An OpenVINO or ONNX model in int8: symmetric weights per channel, activations per layer.

    The first convolution and the last two stay as they are: there a level of rounding is a level of the picture. On IMDN x4 that leaves a
    third of the loss (0.020 instead of 0.057 dB) at the same speed (`docs/performance.md`).
    """
    import nncf  # pyright: ignore[reportMissingImports]

    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset(calibration_pictures(facts), lambda lr: {"data": lr})
    if hasattr(model, "get_ordered_ops"):
        names = [node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"]
    else:
        names = [node.name for node in model.graph.node if node.op_type == "Conv"]
    ignored = nncf.IgnoredScope(names=list(dict.fromkeys([names[0], *names[-2:]])))
    with redirect_stdout(StringIO()):  # its progress bars
        return nncf.quantize(model, dataset, subset_size=len(SPLITS["train"]) * CALIBRATION_PIECES, ignored_scope=ignored)


def quantise_onnx(source: Path, metadata: str, facts: NetworkFacts, path: Path) -> None:
    import onnx

    from ibsd.upscaling.exported import METADATA_KEY

    model = quantised(onnx.load(str(source)), facts)
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = metadata
    onnx.save(model, str(path))
