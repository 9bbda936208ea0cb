"""How good is a picture: `score` gives every protocol side by side; `psnr`, `ssim` and `lpips` are
the parts, one figure per image."""

from __future__ import annotations

from ibsd.metrics.fidelity import luma, psnr, ssim
from ibsd.metrics.perceptual import Lpips, lpips
from ibsd.metrics.protocols import PROTOCOLS, basicsr_luma, realsr_patches, score, score_each

__all__ = [
    "PROTOCOLS",
    "Lpips",
    "basicsr_luma",
    "lpips",
    "luma",
    "psnr",
    "realsr_patches",
    "score",
    "score_each",
    "ssim",
]
