"""PSNR and SSIM: laws, scikit-image as oracle, and the figures of the published code."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from skimage import metrics
from torch import Tensor

from ibsd.metrics import luma, psnr, ssim
from ibsd.metrics.fidelity import cut_border
from ibsd.types import InputError


def pictures(shape: tuple[int, ...], seed: int = 0, noise: float = 0.05) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand(shape, generator=generator, dtype=torch.float64)
    return hr + noise * torch.randn(shape, generator=generator, dtype=torch.float64), hr


@pytest.mark.parametrize("offset", [0.5, 0.1, -0.1, 1e-3, 1 / 255])
def test_psnr_of_a_constant_offset(offset: float) -> None:
    hr = torch.full((2, 3, 8, 9), 0.5, dtype=torch.float64)
    assert psnr(hr + offset, hr).tolist() == pytest.approx(
        [-20 * math.log10(abs(offset))] * 2, rel=1e-12
    )


def test_psnr_scales_with_the_range_and_is_infinite_for_a_perfect_image() -> None:
    sr, hr = pictures((1, 3, 8, 8))
    assert psnr(255 * sr, 255 * hr, 255).item() == pytest.approx(psnr(sr, hr).item(), rel=1e-12)
    assert psnr(hr, hr).item() == math.inf


def test_psnr_is_per_image_and_agrees_with_scikit_image() -> None:
    sr, hr = pictures((3, 3, 17, 23))
    expected = [
        metrics.peak_signal_noise_ratio(b, a, data_range=1)
        for a, b in zip(sr.numpy(), hr.numpy(), strict=True)
    ]
    assert psnr(sr, hr).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("padding", ["valid", "zero"])
def test_ssim_of_equal_images_is_one_and_it_is_symmetric_and_below_one(
    padding: Literal["valid", "zero"],
) -> None:
    sr, hr = pictures((2, 3, 20, 31))
    assert ssim(hr, hr, padding=padding).tolist() == pytest.approx([1, 1], abs=1e-14)
    there, back = ssim(sr, hr, padding=padding), ssim(hr, sr, padding=padding)
    assert torch.equal(there, back)
    assert (there < 1).all()


def test_ssim_of_two_constant_images_is_their_luminance_term() -> None:
    a, b = torch.full((1, 1, 15, 15), 0.3), torch.full((1, 1, 15, 15), 0.6)
    assert ssim(a, b).item() == pytest.approx(
        (2 * 0.3 * 0.6 + 1e-4) / (0.3**2 + 0.6**2 + 1e-4), rel=1e-6
    )


# 139 and 300 rows: one strip of windows and a bit, two and a bit; 11: a single window
@pytest.mark.parametrize("size", [(11, 11), (24, 30), (139, 13), (300, 20)])
def test_ssim_agrees_with_scikit_image(size: tuple[int, int]) -> None:
    sr, hr = pictures((2, 3, *size), seed=size[0])
    expected = [
        metrics.structural_similarity(
            a,
            b,
            channel_axis=0,
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(sr.numpy(), hr.numpy(), strict=True)
    ]
    assert ssim(sr, hr).tolist() == pytest.approx(expected, rel=1e-11)


def test_zero_padding_equals_valid_windows_of_the_padded_image() -> None:
    sr, hr = pictures((1, 2, 14, 17))
    padded_sr, padded_hr = (torch.nn.functional.pad(image, [5] * 4) for image in (sr, hr))
    assert ssim(sr, hr, padding="zero").item() == pytest.approx(
        ssim(padded_sr, padded_hr).item(), rel=1e-7
    )  # rel: the window is float32 there


def test_luma_of_black_white_and_the_primaries() -> None:
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]).view(
        5, 3, 1, 1
    )
    assert luma(colours).flatten().tolist() == pytest.approx(
        [16, 235, 81.481, 144.553, 40.966], abs=1e-12
    )


def test_border() -> None:
    image = torch.arange(30.0).view(1, 1, 5, 6)
    assert np.array_equal(cut_border(image, 2)[0, 0], [[14, 15]])
    assert cut_border(image, 0).shape == image.shape
    with pytest.raises(InputError, match="5 x 6"):
        cut_border(image, 3)
    with pytest.raises(InputError, match="border to cut is -1"):
        cut_border(image, -1)


def test_wrong_shapes_are_named() -> None:
    a, b = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9)
    for metric in (psnr, ssim):
        with pytest.raises(InputError, match=r"\[1, 3, 8, 8\] and \[1, 3, 8, 9\]"):
            metric(a, b)
    with pytest.raises(InputError, match="11 x 11 px"):
        ssim(a, a)
    for metric in (psnr, ssim):
        with pytest.raises(InputError, match="data_range of whole numbers is 1"):
            metric(a.byte(), a.byte())
    assert psnr(a.byte(), a.byte() + 1, 255) == pytest.approx(20 * np.log10(255))
    with pytest.raises(InputError, match="padding is 'same'"):
        ssim(a, a, padding="same")  # type: ignore[arg-type]
    for image in (a[0], a[:, :1]):
        with pytest.raises(InputError, match=r"it must be \[N, 3, H, W\]"):
            luma(image)
