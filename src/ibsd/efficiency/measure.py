"""What a model costs: counted in an exported model's own graph, and measured by running it as `ibsd
upscale` would.

The counts follow `efficiency/count.py`, which counts a student of torch; neither uses the other's
code.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibsd.types import Scale

TILE_PX = 256
NO_PARAMETERS = {"PRelu", "FakeQuantize"}
"""Whose constants (a slope, the ends of a range) no student learns."""


@dataclass(frozen=True)
class Counts:
    """Of an exported model, for one picture."""

    parameters: int
    """Numbers in the file that are neither slopes nor sizes. Converters fold some, and store
    omnisr's positions as the matrices made of them; in int8 the scales of the weights count too."""
    multiply_adds: int
    """Of convolutions and matrix products."""
    activations: int
    """Values that these put out."""


@dataclass(frozen=True)
class Measurement:
    """What one run in a fresh process came to."""

    network: str
    scale: Scale
    lr: tuple[int, int]
    """Height and width that ran: the asked ones, made larger where the model does not take them."""
    backend: str
    precision: str
    latency_ms: float
    """Median over the runs after the first."""
    memory_bytes: int
    """By how much the process grew at its largest, from before the model was opened to after the
    last run."""
    file_bytes: int
    """Of the model's files."""


def counted(path: str | Path, height: int = TILE_PX, width: int = TILE_PX) -> Counts:
    """Counts of a model that `ibsd export` made (.xml or .onnx), read by OpenVINO, for an LR
    picture of a size that the model takes."""
    import openvino

    model: Any = openvino.Core().read_model(path)
    model.reshape([1, 3, height, width])
    multiply_adds = activations = parameters = 0
    for node in model.get_ordered_ops():
        kind, shapes = (
            node.get_type_name(),
            [
                list(each.get_shape())
                for each in node.inputs()
                if each.get_partial_shape().is_static
            ],
        )
        if kind == "Constant" and (
            node.get_element_type().is_real() or node.get_element_type().bitwidth == 8
        ):
            shape, readers = (
                node.get_output_shape(0),
                {each.get_node().get_type_name() for each in node.output(0).get_target_inputs()},
            )
            parameters += math.prod(shape) if len(shape) and not readers <= NO_PARAMETERS else 0
        if kind in ("Convolution", "GroupConvolution"):
            depth = math.prod(shapes[1][1 if kind == "Convolution" else 2 :])
        elif kind == "MatMul":
            depth = shapes[0][-2 if node.get_attributes()["transpose_a"] else -1]
        else:
            continue
        values = math.prod(node.get_output_shape(0))
        multiply_adds, activations = multiply_adds + values * depth, activations + values
    return Counts(parameters, multiply_adds, activations)


def measured(
    path: str | Path,
    height: int = TILE_PX,
    width: int = TILE_PX,
    runs: int = 5,
    backend: str = "auto",
    precision: str = "auto",
) -> Measurement:
    """Runs a weight file or exported model in a process of its own, as `ibsd upscale` would. Linux
    and macOS.

    Errors: InputError as `open_network`.
    """
    from ibsd.inference.open import open_network

    code = f"from ibsd.efficiency.measuring import main; main({str(path)!r}, {height}, {width}, {runs}, {backend!r}, {precision!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if said.returncode:
        open_network(
            path, backend=backend, precision=precision
        )  # says what is wrong, if it is the user's
        raise RuntimeError(said.stderr)
    found = json.loads(said.stdout.splitlines()[-1])
    return Measurement(**found | {"lr": tuple(found["lr"])})
