"""sRGB and linear light (IEC 61966-2-1). Lenses, sensors and averages work in linear light."""

from __future__ import annotations

import torch
from torch import Tensor


def to_linear(srgb: Tensor) -> Tensor:
    """sRGB in [0, 1] -> linear light in [0, 1]: 0.5 -> 0.214."""
    return torch.where(
        srgb <= 0.04045, srgb / 12.92, ((srgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    )


def to_srgb(light: Tensor) -> Tensor:
    """Linear light in [0, 1] -> sRGB in [0, 1], the inverse of `to_linear`."""
    return torch.where(
        light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    )
