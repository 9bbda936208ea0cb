"""How scores are written: names with units, decimals, differences."""

from __future__ import annotations

LOWER_IS_BETTER = ("lpips",)

_NAMES = {
    "psnr_rgb": "PSNR, RGB, dB",
    "psnr_y": "PSNR-Y, dB",
    "ssim": "SSIM",
    "ssim_y": "SSIM-Y",
    "lpips": "LPIPS (less is better)",
}


def described(metric: str) -> str:
    """The metric's name with its unit, and which way is better where that is not plain."""
    return _NAMES.get(metric, metric)


def figure(metric: str, value: float) -> str:
    """dB with two decimals, everything else with four."""
    return f"{value:.2f}" if metric.startswith("psnr") else f"{value:.4f}"


def signed(metric: str, difference: float) -> str:
    """As `figure`, with its sign."""
    return f"{difference:+.2f}" if metric.startswith("psnr") else f"{difference:+.4f}"


def better(metric: str, difference: float) -> bool:
    """Whether such a difference to another method is one for the better."""
    return difference < 0 if metric in LOWER_IS_BETTER else difference > 0
