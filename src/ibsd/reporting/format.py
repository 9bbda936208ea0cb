"""How scores are written: titles with units, decimals, signs, intervals.

A metric is named with or without its protocol: "psnr_y" or "basicsr-y.psnr_y".
"""

from __future__ import annotations

from ibsd.types import LOWER_IS_BETTER

PAIRED_DECIMALS = 3
"""Decimals of dB in comparisons, because their differences are small."""

_TITLES = {
    "psnr_rgb": "PSNR, RGB, dB",
    "psnr_y": "PSNR-Y, dB",
    "psnr_1": "PSNR-Y of the finest wavelet band, dB",
    "psnr_2": "PSNR-Y of the second band, dB",
    "psnr_3": "PSNR-Y of the third band, dB",
    "psnr_4": "PSNR-Y of the fourth band, dB",
    "psnr_rest": "PSNR-Y of what the bands leave, dB",
    "ssim": "SSIM",
    "ssim_y": "SSIM-Y",
    "lpips": "LPIPS (less is better)",
}


def bare_metric(metric: str) -> str:
    """The metric without its protocol."""
    return metric.rpartition(".")[2]


def metric_title(metric: str) -> str:
    """The metric's name with its unit, and which way is better where that is not plain."""
    return _TITLES.get(bare_metric(metric), metric)


def metric_decimals(metric: str, psnr: int = 2) -> int:
    """`psnr` decimals for dB, four for everything else."""
    return psnr if bare_metric(metric).startswith("psnr") else 4


def score_text(metric: str, score: float, psnr: int = 2) -> str:
    return f"{score:.{metric_decimals(metric, psnr)}f}"


def difference_text(metric: str, difference: float, psnr: int = 2) -> str:
    """As `score_text`, with its sign."""
    return f"{difference:+.{metric_decimals(metric, psnr)}f}"


def interval_text(metric: str, bounds: tuple[float, float] | None, psnr: int = 2) -> str:
    if bounds is None:
        return "no interval"
    low, high = (difference_text(metric, bound, psnr) for bound in bounds)
    return f"{low} to {high}"


def is_better(metric: str, difference: float) -> bool:
    """Whether such a difference to another method is one for the better."""
    return difference < 0 if bare_metric(metric) in LOWER_IS_BETTER else difference > 0
