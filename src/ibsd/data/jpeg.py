"""JPEG as a step of degradation: libjpeg's, and one in tensors that stays on the device and passes
gradients."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ibsd.images.rgb import to_array, to_tensor

BLOCK = 8

LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Quantisation at quality 50: ITU-T T.81, annex K.1."""

TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""RGB to Y, Cb, Cr about 0: ITU-T T.871 (JFIF)."""


def libjpeg(image: Tensor, quality: int, subsampled: bool) -> Tensor:
    """image [1, 3, H, W] in [0, 1] -> the same, compressed and decoded by Pillow's libjpeg, with
    4:2:0 colours if `subsampled`, else 4:4:4; no gradient."""
    file = io.BytesIO()
    Image.fromarray(to_array(image)).save(
        file, "JPEG", quality=quality, subsampling="4:2:0" if subsampled else "4:4:4"
    )
    with Image.open(file) as decoded:
        return to_tensor(np.array(decoded)).to(image.device)


def smooth_jpeg(images: Tensor, quality: Tensor, subsampled: bool = False) -> Tensor:
    """images [N, 3, H, W] in [0, 1] -> the same, each compressed with its own quality, not rounded
    to 8 bits.

    Rounding of coefficients passes gradients unchanged (straight-through). Sides that are no
    multiple of the block are continued, as an encoder does. At 4:4:4 the result is within a grey
    level of libjpeg's nearly everywhere.

    Args:
        quality: [N], 1 to 100, libjpeg's scale.
        subsampled: 4:2:0: colours at half the size, enlarged again by repetition.
    """
    height, width = images.shape[-2:]
    unit = 2 * BLOCK if subsampled else BLOCK
    padded = F.pad(images, [0, -width % unit, 0, -height % unit], mode="replicate")
    matrix = torch.tensor(TO_YCC, dtype=images.dtype, device=images.device)
    luma, chroma = torch.einsum("cd,ndhw->nchw", matrix, 255 * padded).split([1, 2], dim=1)
    luma = _quantised(luma - 128, _table(LUMA, quality)) + 128
    if subsampled:
        chroma = F.avg_pool2d(chroma, 2)
    chroma = _quantised(chroma, _table(CHROMA, quality))
    if subsampled:
        chroma = F.interpolate(chroma, scale_factor=2)
    rgb = (
        torch.einsum("cd,ndhw->nchw", torch.linalg.inv(matrix), torch.cat([luma, chroma], dim=1))
        / 255
    )
    return rgb[..., :height, :width].clamp(0, 1)


def _table(base: tuple[tuple[int, ...], ...], quality: Tensor) -> Tensor:
    """[N, 1, 1, 1, 8, 8]: libjpeg's scaling of a table, in whole steps of at least 1."""
    quality = quality.view(-1, 1, 1, 1, 1, 1)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    return (
        ((torch.tensor(base, dtype=quality.dtype, device=quality.device) * percent + 50) / 100)
        .floor()
        .clamp(1, 255)
    )


def _quantised(planes: Tensor, table: Tensor) -> Tensor:
    """[N, C, H, W] through the cosine transform of each block, rounding to steps, and back."""
    count, channels, height, width = planes.shape
    index = torch.arange(BLOCK, dtype=planes.dtype, device=planes.device)
    transform = torch.cos(math.pi / BLOCK * (index + 0.5) * index.view(-1, 1)) * math.sqrt(
        2 / BLOCK
    )
    transform[0] /= math.sqrt(2)
    blocks = planes.view(count, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(
        3, 4
    )
    steps = transform @ blocks @ transform.T / table
    steps = steps + (steps.round() - steps).detach()
    return (
        (transform.T @ (steps * table) @ transform)
        .transpose(3, 4)
        .reshape(count, channels, height, width)
    )
