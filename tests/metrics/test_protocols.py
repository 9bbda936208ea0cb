"""The protocols: parity with the published code, oracles, and what tells them apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage import metrics
from torch import Tensor

from ibsd.metrics import PROTOCOLS, luma, protocols, psnr, realsr_patches, score, score_each, ssim
from ibsd.metrics.fidelity import cut_border
from ibsd.metrics.protocols import basicsr_y, ibsd_cdc, realsr_testm
from ibsd.types import InputError


def image(height: int, width: int, phase: float) -> Tensor:
    """The test image that the reference values below were computed on, [1, 3, height, width]
    float64."""
    channel = torch.arange(3, dtype=torch.float64).view(3, 1, 1)
    y = torch.arange(height, dtype=torch.float64).view(-1, 1)
    x = torch.arange(width, dtype=torch.float64)
    waves = torch.sin(0.31 * x + 0.47 * y + 1.3 * channel + phase) + torch.sin(
        0.05 * x * y + 0.9 * channel + phase
    )
    return (0.5 + 0.25 * waves).unsqueeze(0)


HR = image(64, 72, 0.0)
SR = (HR + 0.06 * image(64, 72, 2.2) - 0.03).clamp(0, 1)


def test_parity_with_the_published_script() -> None:
    # from the published IBSD code, float64
    scores = score(SR, HR, lpips=False)["ibsd-cdc"]
    assert scores["psnr_rgb"] == pytest.approx(36.61293193559572, rel=1e-9)
    assert scores["psnr_y"] == pytest.approx(39.973993303420436, rel=1e-9)
    assert scores["ssim"] == pytest.approx(0.9981317128092949, rel=1e-9)


def test_parity_of_bt601_luma_unrounded() -> None:
    y_sr, y_hr = (cut_border(luma(picture), 4) for picture in (SR, HR))
    assert psnr(y_sr, y_hr, 255).item() == pytest.approx(39.97399493193333, rel=1e-9)
    assert ssim(y_sr, y_hr, 255).item() == pytest.approx(0.998107611021868, rel=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_basicsr_y_against_numpy_and_scikit_image(scale: int) -> None:
    def eight_bit_luma(picture: Tensor) -> np.ndarray:
        pixels = np.round(picture[0].permute(1, 2, 0).numpy().clip(0, 1) * 255)
        return (pixels @ [65.481, 128.553, 24.966] / 255 + 16)[scale:-scale, scale:-scale]

    y_sr, y_hr = eight_bit_luma(1.5 * SR - 0.2), eight_bit_luma(HR)
    scores = basicsr_y(1.5 * SR - 0.2, HR, scale)
    assert scores["psnr_y"].item() == pytest.approx(
        metrics.peak_signal_noise_ratio(y_hr, y_sr, data_range=255), rel=1e-9
    )
    expected = metrics.structural_similarity(
        y_sr, y_hr, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert scores["ssim_y"].item() == pytest.approx(expected, rel=1e-9)


def test_realsr_testm_rounds_luma_and_cuts_no_border() -> None:
    def matlab(picture: Tensor) -> np.ndarray:
        pixels = np.round(picture[0, :, :64, :68].permute(1, 2, 0).numpy() * 255)
        return np.floor(pixels @ [65.481, 128.553, 24.966] / 255 + 16.5)

    scores = realsr_testm(SR[..., :66, :71], HR[..., :66, :71])  # 66 x 71 is cut to 64 x 68
    y_sr, y_hr = matlab(SR), matlab(HR)
    assert scores["psnr_y"].item() == pytest.approx(
        metrics.peak_signal_noise_ratio(y_hr, y_sr, data_range=255), rel=1e-9
    )
    expected = metrics.structural_similarity(
        y_sr, y_hr, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert scores["ssim_y"].item() == pytest.approx(expected, rel=1e-9)


def test_matlab_luma_of_the_primaries() -> None:
    colours = torch.eye(3).view(3, 3, 1, 1)
    assert protocols._matlab_luma(colours).flatten().tolist() == [81, 145, 41]


def test_realsr_patches() -> None:
    # 1,200 px every 800 px and one at the end, only where both sides exceed 1,200 px; sizes are
    # first cut to multiples of 4
    counts = {
        (64, 64): 1,
        (1200, 4000): 1,
        (1203, 1203): 1,
        (1204, 1204): 4,
        (2000, 1204): 6,
        (2004, 3000): 12,
    }
    assert {size: realsr_patches(*size) for size in counts} == counts


def test_realsr_testm_averages_over_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "_PATCH_PX", 24)
    monkeypatch.setattr(protocols, "_STRIDE_PX", 16)
    sr, hr = SR[..., :40, :28], HR[..., :40, :28]
    # rows start at 0, 16 and, the last one, at 16 again; columns at 0 and 4
    parts = [
        (..., slice(top, top + 24), slice(left, left + 24))
        for top in (0, 16, 16)
        for left in (0, 4)
    ]
    y_sr, y_hr = (protocols._matlab_luma(picture) for picture in (sr, hr))
    scores = realsr_testm(sr, hr)
    assert scores["psnr_y"].item() == pytest.approx(
        np.mean([psnr(y_sr[part], y_hr[part], 255).item() for part in parts]), rel=1e-12
    )
    assert scores["ssim_y"].item() == pytest.approx(
        np.mean([ssim(y_sr[part], y_hr[part], 255).item() for part in parts]), rel=1e-12
    )


def test_names_are_those_of_the_table() -> None:
    scores = score(SR, HR)
    assert {protocol: tuple(metrics) for protocol, metrics in scores.items()} == PROTOCOLS
    assert all(
        isinstance(value, float) for metrics in scores.values() for value in metrics.values()
    )
    assert "lpips" not in score(SR, HR, lpips=False)["ibsd-cdc"]


def test_a_perfect_image() -> None:
    scores = score(HR, HR)
    psnrs = [
        value
        for metrics in scores.values()
        for name, value in metrics.items()
        if name.startswith("psnr")
    ]
    ssims = [
        value
        for metrics in scores.values()
        for name, value in metrics.items()
        if name.startswith("ssim")
    ]
    assert psnrs == [math.inf] * 4
    assert ssims == pytest.approx([1] * 3, abs=1e-14)
    assert scores["ibsd-cdc"]["lpips"] == 0


def test_only_ibsd_cdc_sees_what_eight_bits_hide() -> None:
    hr = (HR * 255).round() / 255
    hr[..., :10, :10] = 1.0
    overshoot = hr + 0.3 * (hr == 1)
    for sr in (hr + 0.4 / 255, overshoot):
        assert ibsd_cdc(sr, hr, lpips=False)["psnr_y"].item() < math.inf
        assert basicsr_y(sr, hr)["psnr_y"].item() == math.inf
        assert realsr_testm(sr, hr)["psnr_y"].item() == math.inf


def test_only_realsr_testm_sees_the_border_in_luma() -> None:
    sr = HR.clone()
    sr[..., :4, :] = 1 - sr[..., :4, :]
    assert ibsd_cdc(sr, HR, lpips=False)["psnr_y"].item() == math.inf
    assert basicsr_y(sr, HR)["psnr_y"].item() == math.inf
    assert realsr_testm(sr, HR)["psnr_y"].item() < math.inf
    assert ibsd_cdc(sr, HR, 2, lpips=False)["psnr_y"].item() < math.inf


def test_means_over_the_batch() -> None:
    sr, hr = torch.cat([SR, HR.flip(3)]), torch.cat([HR, SR])
    per_image, mean = score_each(sr, hr), score(sr, hr)
    for protocol, of_protocol in per_image.items():
        for name, values in of_protocol.items():
            assert values.dtype == torch.float64
            assert values.shape == (2,)
            assert values[0].item() == pytest.approx(score(SR, HR)[protocol][name], rel=1e-5)
            assert mean[protocol][name] == pytest.approx(values.mean().item(), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_precision_of_the_inputs_is_the_only_one_lost(dtype: torch.dtype) -> None:
    sr, hr = SR.to(dtype), HR.to(dtype)
    assert score(sr, hr) == score(sr.double(), hr.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert score(sr, hr) == score(sr.double(), hr.double())


def test_no_gradient_is_kept() -> None:
    assert not score_each(SR.clone().requires_grad_(), HR)["ibsd-cdc"]["lpips"].requires_grad


@pytest.mark.parametrize(
    ("sr", "hr", "message"),
    [
        (SR[0], HR[0], "must both be"),
        (SR[:0], HR[:0], "not empty"),
        (SR[..., :0], HR[..., :0], "not empty"),
        (SR[:, :1], HR[:, :1], "must both be"),
        (SR[..., 1:], HR, "64, 71"),
        ((SR * 255).byte(), (HR * 255).byte(), "divide 8-bit pictures by 255"),
        (SR * 255, HR * 255, "divide 8-bit pictures by 255"),
        (SR[..., :20, :20], HR[..., :20, :20], "LPIPS needs"),
    ],
)
def test_mistakes_are_named(sr: Tensor, hr: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(sr, hr)


def test_too_small_for_a_window() -> None:
    assert score(SR[..., :19, :19], HR[..., :19, :19], 4, lpips=False)
    with pytest.raises(
        InputError, match="SSIM needs 11 x 11 px after the border is cut, not 10 x 10"
    ):
        score(SR[..., :18, :18], HR[..., :18, :18], 4, lpips=False)
