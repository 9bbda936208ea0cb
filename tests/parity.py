"""Reference values of the published code, and the formulas that give every parameter, image and
feature map behind them.

`parity.json` holds numbers computed in float64 from the published networks, estimators and losses
(long arrays as every n-th value and the norm of all). The inputs need no file: they are sines of
their indices.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "parity.json").read_text())
PHASE: float = REFERENCE["phase"]


def image(count: int, channels: int, height: int, width: int, phase: float = PHASE) -> Tensor:
    """[count, channels, height, width] in [0, 1], float64."""
    b, c, y, x = torch.meshgrid(
        *(torch.arange(size, dtype=torch.float64) for size in (count, channels, height, width)),
        indexing="ij",
    )
    wave = torch.sin(0.31 * x + 0.47 * y + 1.3 * c + 2.1 * b + phase)
    return 0.5 + 0.25 * wave + 0.25 * torch.sin(0.05 * x * y + 0.9 * c + phase)


def features(shape: tuple[int, int, int, int], node: int, phase: float = PHASE) -> Tensor:
    """Feature map of node `node`, in [-1, 1], float64."""
    return 2 * image(*shape, phase + 3.7 * node) - 1


def with_reference_parameters(module: nn.Module, phase: float = PHASE) -> nn.Module:
    """The module in float64 with every parameter set by its place among the sorted state-dict
    keys."""
    module = module.double()
    state = module.state_dict()
    for place, key in enumerate(sorted(state)):
        tensor = state[key]
        if not tensor.is_floating_point():
            continue
        s = torch.sin(0.7 * torch.arange(tensor.numel(), dtype=torch.float64) + place + phase).view(
            tensor.shape
        )
        if tensor.dim() >= 2:
            state[key] = s * math.sqrt(2 / (tensor.numel() / tensor.shape[0]))
        elif key.endswith("weight"):
            state[key] = 1 + 0.1 * s
        else:
            state[key] = 0.1 * s
    module.load_state_dict(state)
    return module


def shapes(module: nn.Module) -> dict[str, list[int]]:
    """Every state-dict key with its shape."""
    return {key: list(tensor.shape) for key, tensor in module.state_dict().items()}


def check_sampled(ours: Tensor, reference: dict[str, Any], relative: float = 1e-9) -> None:
    """Our array against every n-th value and the norm of the reference; errors are relative to the
    largest value."""
    flat = ours.detach().flatten()
    assert flat.numel() == reference["numel"]
    theirs = torch.tensor(reference["values"], dtype=torch.float64)
    assert float((flat[:: reference["stride"]] - theirs).abs().max()) <= relative * float(
        theirs.abs().max()
    )
    assert abs(float(flat.norm()) - reference["norm"]) <= relative * reference["norm"]
