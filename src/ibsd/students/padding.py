"""Padding at the bottom and right to the sizes that windows and pools want."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(x: Tensor, multiple: int, mode: str) -> Tensor:
    """[N, C, H, W] padded to the next multiples of `multiple`; `mode` as in `F.pad`: "constant" (zeros) or "replicate"."""
    height, width = x.shape[-2:]
    wanted = (height + multiple - 1) // multiple * multiple, (width + multiple - 1) // multiple * multiple
    return F.pad(x, (0, wanted[1] - width, 0, wanted[0] - height), mode=mode)


def pad_to_side(x: Tensor, side: int) -> Tensor:
    """[N, C, H, W] padded to at least `side` pixels both ways, by replication; a larger one comes back as it is."""
    height, width = x.shape[-2:]
    if height >= side and width >= side:
        return x
    return F.pad(x, (0, max(0, side - width), 0, max(0, side - height)), mode="replicate")
