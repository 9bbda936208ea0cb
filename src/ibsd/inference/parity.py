"""How far two results are apart, and the picture on which a reduced precision is tried. Imports no
runtime."""

from __future__ import annotations

import numpy as np

CERTIFIED_DB = 50.0
"""The PSNR to fp32 that a reduced precision needs for "auto" to choose it."""
CERTIFICATE_PX = 48
"""Side of the picture on which it is tried."""


def certificate_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture [1, 3, height, width] in [0, 1] with edges, gradients and noise, the same on every
    machine."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    colour = np.array([0.0, 1.0, 2.0])[:, None, None]
    smooth = 0.5 + 0.25 * np.sin(0.21 * x + 0.13 * y + colour)
    edges = 0.2 * (((x // 7 + y // 5) % 2) - 0.5)
    noise = 0.05 * generator.standard_normal((3, height, width))
    return (smooth + edges + noise).clip(0, 1)[None].astype(np.float32)


def psnr_db(sr: np.ndarray, expected: np.ndarray) -> float:
    """PSNR in dB at peak 1: inf if equal, -inf if the error is not a number."""
    # Broken weights overflow here. The check below covers that.
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.mean((sr.astype(np.float64) - expected) ** 2))
    if not np.isfinite(error):
        return -np.inf
    return np.inf if error == 0 else -10 * np.log10(error)
