"""High-frequency loss: detail bands of a Haar wavelet transform compared level by level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.types import InputError, require

COEFFICIENT = 0.4999999828857291
"""float32(1 / sqrt(2)) squared: the published filters are stored in fp32, and this keeps its values
in fp64 (1/2 up to 4e-8)."""


def haar(image: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the orthonormal 2-D Haar transform.

    [N, C, H, W] -> (approximation [N, C, h, w], details [N, C, 3, h, w]) with h, w = ceil(H / 2),
    ceil(W / 2); odd sizes are padded with one zero row below or column to the right. The details
    are (low-high, high-low, high-high): differences of rows, of columns, of both. Energy is
    preserved up to 1e-7: the squares of all outputs sum to those of the input.
    """
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        image = F.pad(image, (0, width % 2, 0, height % 2))
    top = image[..., 0::2, :] * COEFFICIENT
    bottom = image[..., 1::2, :] * COEFFICIENT
    low = top + bottom
    high = top - bottom
    approximation = low[..., 0::2] + low[..., 1::2]
    details = (
        high[..., 0::2] + high[..., 1::2],
        low[..., 0::2] - low[..., 1::2],
        high[..., 0::2] - high[..., 1::2],
    )
    return approximation, torch.stack(details, dim=2)


def details(image: Tensor, levels: int = 4) -> list[Tensor]:
    """Detail bands of `levels` levels, finest first, each [N, C, 3, h, w]."""
    bands: list[Tensor] = []
    for _ in range(levels):
        image, level = haar(image)
        bands.append(level)
    return bands


def wavelet_loss(sr: Tensor, target: Tensor, levels: int = 4) -> Tensor:
    """Sum over levels of mean |details(sr) - details(target)|, a scalar. The coarsest approximation
    does not enter.

    Args:
        sr, target: [N, C, H, W] of equal shape, any size, in floating point; the loss has their
            unit.
        levels: how often the approximation is split again, at least 1.

    Gradients flow to both; callers detach their target. The transform is linear, so the difference
    is transformed once. Errors: InputError for unequal or empty shapes, integers (8-bit differences
    would wrap) and no levels.

    Check by hand: images that differ by a constant have loss 0 where sizes are multiples of
    2^levels.

    Source: docs/method.md 4.
    """
    if sr.shape != target.shape or sr.dim() < 2 or 0 in sr.shape:
        raise InputError(
            f"wavelet_loss: sr is {tuple(sr.shape)} and target {tuple(target.shape)}; "
            "they must be equal, [N, C, H, W], and not empty"
        )
    if not (sr.is_floating_point() and target.is_floating_point()):
        raise InputError(
            f"wavelet_loss: sr is {sr.dtype} and target {target.dtype}; take x.float() / 255"
        )
    require("wavelet_loss: levels", levels, levels >= 1, "at least 1")
    loss = sr.new_zeros(())
    for level in details(sr - target, levels):
        loss = loss + level.abs().mean()
    return loss
