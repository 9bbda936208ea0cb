"""The error of an image by wavelet band, so that a gain in PSNR shows where it comes from: an image
that is merely smoother gains in the finest bands and loses nothing elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from ibsd.distillation.wavelet import haar
from ibsd.metrics import basicsr_luma

BANDS = "haar-y"
"""Stands where a protocol's name stands among the scores."""
LEVELS = 4


def band_psnr(sr: Tensor, hr: Tensor, scale: int) -> dict[str, float]:
    """PSNR-Y in dB of each detail band of a 4-level Haar transform, and of what remains:
    {"psnr_1" (finest), ..., "psnr_4", "psnr_rest"}.

    As `basicsr-y`, of one image [1, 3, H, W] twice: RGB in 8 bits, Y of BT.601, `scale` px cut on
    each side, range 255. A band's error is divided by the number of pixels of the image, so that
    the bands' mean squared errors sum to that of `basicsr-y.psnr_y`. A band without error has inf.

    Source: docs/method.md 4, for the transform.
    """
    rest = basicsr_luma(sr, scale) - basicsr_luma(hr, scale)
    num_pixels = rest.numel()
    bands: dict[str, Tensor] = {}
    for level in range(1, LEVELS + 1):
        rest, details = haar(rest)
        bands[f"psnr_{level}"] = details
    bands["psnr_rest"] = rest
    return {
        name: float(10 * torch.log10(255**2 * num_pixels / band.square().sum()))
        for name, band in bands.items()
    }
