"""What a student costs at inference: parameters, FLOPs and activations by counting; memory and latency by running it.

How a student was trained cannot enter: counting sees its layers, and running sees an exported file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ibsd.students import Student, create_student

TILE_PX = 256


@dataclass(frozen=True)
class Counts:
    """Costs that depend on the network and the size of its input alone."""

    parameters: int
    """All in the weight file, also those that never run."""
    flops: int
    """A multiplication and an addition are two; of convolutions, matrix products and attention, as torch's counter counts."""
    activations: int
    """Elements that convolutions and linear layers give, as the NTIRE challenges on efficiency count."""


@dataclass(frozen=True)
class Measurement:
    """What one run in a fresh process came to."""

    backend: str
    precision: str
    latency_ms: float
    """Median over the runs after the first."""
    memory_bytes: int
    """By how much the process grew at its largest, from before the model was opened to after the last run."""
    file_bytes: int
    """Of the model's files."""


def counted(student: Student, height: int = TILE_PX, width: int = TILE_PX) -> Counts:
    """Counts for one picture of height x width LR pixels. Nothing is computed (meta tensors), and the student is not touched."""
    spec = student.spec
    with torch.device("meta"):
        empty = create_student(spec.name, spec.scale, **spec.options).eval()
        lr = torch.empty(1, 3, height, width)
    activations = 0

    def add(module: nn.Module, inputs: object, output: Tensor) -> None:
        nonlocal activations
        activations += output.numel()

    for module in empty.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(add)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        empty(lr)
    return Counts(sum(parameter.numel() for parameter in student.parameters()), counter.get_total_flops(), activations)


def measured(
    path: str | Path, height: int = TILE_PX, width: int = TILE_PX, runs: int = 5, backend: str = "auto", precision: str = "auto"
) -> Measurement:
    """Runs a weight file or exported model in a process of its own, as `ibsd upscale` would. Linux and macOS.

    Errors: InputError as `open_network`.
    """
    from ibsd.upscaling.backends import open_network

    code = f"from ibsd.upscaling.measuring import main; main({str(path)!r}, {height}, {width}, {runs}, {backend!r}, {precision!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if said.returncode:
        open_network(path, backend=backend, precision=precision)  # says what is wrong, if it is the user's
        raise RuntimeError(said.stderr)
    return Measurement(**json.loads(said.stdout.splitlines()[-1]))
