"""The error of each wavelet band: together they are the error of PSNR-Y, and each sees its own
scale alone."""

from __future__ import annotations

import math

import torch

from ibsd.comparison.bands import band_psnr
from ibsd.metrics import score


def squared_error(psnr: float) -> float:
    return 255**2 / 10 ** (psnr / 10)


def test_the_errors_of_all_bands_sum_to_that_of_psnr_y() -> None:
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(1, 3, 46, 54, generator=generator)
    sr = hr + 0.1 * torch.randn(hr.shape, generator=generator)
    whole = score(sr, hr, 2, lpips=False)["basicsr-y"]["psnr_y"]
    total = sum(map(squared_error, band_psnr(sr, hr, 2).values()))
    assert math.isclose(total, squared_error(whole), rel_tol=1e-6)


def test_an_error_of_one_scale_is_in_its_band_alone() -> None:
    hr = torch.full((1, 3, 36, 36), 0.4)
    columns = torch.arange(36)
    stripes = torch.where(columns // 2 % 2 == 1, 0.2, -0.2)  # pairs of columns: the second band
    bands = band_psnr(hr + stripes, hr, 2)
    assert bands.pop("psnr_2") < 25
    assert all(value > 100 for value in bands.values())
    brighter = band_psnr(hr + 0.2, hr, 2)
    assert brighter.pop("psnr_rest") < 25
    assert all(value > 100 for value in brighter.values())
