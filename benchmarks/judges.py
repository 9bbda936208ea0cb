"""Judges of looks that nothing here was trained on: ST-LPIPS (VGG; Ghildyal and Liu, ECCV 2022) and
SSIMULACRA2 (Sneyers, Cloudinary).

    pip install --no-deps stlpips_pytorch==0.0.2 ssimulacra2==0.3.0

The first package imports torchvision, torchsummary and IPython without needing them for this
network, so empty modules stand in for those.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import ModuleType
from unittest import mock

import numpy as np
import torch
from PIL import Image

Judge = Callable[[np.ndarray, np.ndarray], float]
"""SR and HR, uint8 [H, W, 3], both of one size."""


def st_lpips() -> Judge:
    """Smaller is better. Its features come from a VGG without aliasing, trained on other pairs than
    LPIPS's AlexNet."""
    stand_ins = {
        name: mock.MagicMock(spec=ModuleType, models=None, summary=None, embed=None)
        for name in ("torchvision", "torchsummary", "IPython")
    }
    with mock.patch.dict(sys.modules, stand_ins):
        from stlpips_pytorch import stlpips
    network = stlpips.LPIPS(net="vgg", variant="shift_tolerant", verbose=False)

    def judge(sr: np.ndarray, hr: np.ndarray) -> float:
        pictures = (torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 for pixels in (sr, hr))
        with torch.inference_mode():
            return network(*pictures, normalize=True).item()

    return judge


def ssimulacra2() -> Judge:
    """Larger is better, 100 for equal pictures; 90 is visually lossless, 50 medium quality, below 0
    very poor."""
    from ssimulacra2 import compute_ssimulacra2

    def judge(sr: np.ndarray, hr: np.ndarray) -> float:
        files = (io.BytesIO(), io.BytesIO())
        for file, pixels in zip(files, (hr, sr), strict=True):
            Image.fromarray(pixels).save(file, "png", compress_level=0)
        return float(compute_ssimulacra2(*files))

    return judge


JUDGES: dict[str, Callable[[], Judge]] = {"st_lpips": st_lpips, "ssimulacra2": ssimulacra2}
