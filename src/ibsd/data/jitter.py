"""A mild second view of real LR patches: what another camera, or the same one set otherwise, might
have made of them."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ibsd.data.blur import blur_kernels, shrunk
from ibsd.data.jpeg import libjpeg, smooth_jpeg

SIGMA_PX = (0.2, 0.8)
"""Standard deviation of the blur that is applied, or whose loss is undone."""
AMOUNT = (0.2, 1.0)
"""Amount of unsharp masking."""
GAIN = 0.04
"""Greatest change of a channel's gain."""
NOISE = 0.01
"""Greatest standard deviation of noise, white at 1."""
QUALITY = (80, 100)
"""Quality of JPEG, for half of the patches."""


@torch.no_grad()
def jittered(lr: Tensor, generator: Generator, device_jpeg: bool = False) -> Tensor:
    """lr [N, 3, h, w] in [0, 1] -> the same shape and range, rounded to 8 bits; no gradient.

    Each patch is blurred or sharpened, gets its own gain of each channel and its own noise, and
    half of them go through JPEG. Strengths are uniform in the ranges of this file. The same state
    of `generator`, which lies on the device of `lr`, gives the same result.

    Args:
        device_jpeg: the differentiable JPEG on the device in place of libjpeg through the host.
    """
    count = len(lr)
    device = lr.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand((count, *shape), generator=generator, device=device)
        return low + (high - low) * drawn

    ones = torch.ones(count, device=device)
    radius = int(3 * SIGMA_PX[1] + 1)
    kernels = blur_kernels("gaussian", uniform(*SIGMA_PX), ones, ones, ones, radius)
    soft = shrunk(lr, kernels, ones.view(-1, 1), ones.view(-1, 1), 1)
    sharp = lr + uniform(*AMOUNT, 1, 1, 1) * (lr - soft)
    view = torch.where(uniform(0, 1, 1, 1, 1) < 0.5, soft, sharp)
    view = view * uniform(1 - GAIN, 1 + GAIN, 3, 1, 1)
    noise = torch.randn(lr.shape, generator=generator, device=device)
    view = (view + uniform(0, NOISE, 1, 1, 1) * noise).clamp(0, 1)
    quality = uniform(*QUALITY).round()
    if device_jpeg:
        compressed = smooth_jpeg(view, quality, False)
    else:
        pairs = zip(view.split(1), quality.tolist(), strict=True)
        compressed = torch.cat([libjpeg(patch, int(level), False) for patch, level in pairs])
    view = torch.where(uniform(0, 1, 1, 1, 1) < 0.5, compressed, view)
    return (view * 255).round() / 255
