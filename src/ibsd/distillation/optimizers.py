"""Optimiser steps that a tensor on the device allows or refuses, so that the host need not wait.

torch's fused optimisers skip a step where `found_inf` is set, as gradient scalers ask for. Here it
is set for any refusal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def skip_where_refused(optimizer: torch.optim.Optimizer, accepted: Tensor) -> None:
    """The next step of a fused optimiser changes nothing where `accepted`, a bool on the device, is
    false."""
    optimizer.found_inf = (~accepted).float()  # type: ignore[attr-defined]
    optimizer.grad_scale = None  # type: ignore[attr-defined]


def use_fused(optimizer: torch.optim.Optimizer, fused: bool | None) -> None:
    """Turns an optimiser that has not stepped yet into a fused one."""
    for group in optimizer.param_groups:
        group["fused"] = fused


def with_fused(state: dict[str, Any], fused: bool | None) -> dict[str, Any]:
    """An optimiser's state with `fused` as this machine wants it, whatever the machine that wrote
    the state wanted."""
    return state | {"param_groups": [group | {"fused": fused} for group in state["param_groups"]]}
