"""Every blur has the strength it is asked for, and blurring then shrinking is what one strided
convolution does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ibsd.data.blur import BLURS, RESAMPLERS, SUPPORT, blur_kernels, resampling_weights, shrunk


def kernel(
    family: str,
    sigma: float,
    radius: int = 24,
    ratio: float = 0.5,
    power: float = 1.5,
    angle: float = 0.6,
) -> Tensor:
    return blur_kernels(
        family,
        *(torch.tensor([x], dtype=torch.float64) for x in (sigma, ratio, angle, power)),
        radius=radius,
    )[0]


def second_moments(weights: Tensor) -> Tensor:
    """Variances along rows and columns."""
    radius = weights.shape[0] // 2
    place = torch.arange(-radius, radius + 1, dtype=weights.dtype)
    return torch.stack([(weights.sum(1) * place**2).sum(), (weights.sum(0) * place**2).sum()])


@pytest.mark.parametrize("family", BLURS)
def test_strength_is_the_standard_deviation_of_every_shape(family: str) -> None:
    for sigma in (2.0, 3.5):
        assert float(second_moments(kernel(family, sigma)).mean()) ** 0.5 == pytest.approx(
            sigma, rel=0.06
        )


@pytest.mark.parametrize("family", BLURS)
def test_no_strength_is_no_blur_and_weights_sum_to_one(family: str) -> None:
    assert float(kernel(family, 0.0)[24, 24]) == pytest.approx(1, abs=1e-6)
    assert float(kernel(family, 1.7).sum()) == pytest.approx(1)


def test_a_generalised_gaussian_of_power_2_is_the_elliptic_one() -> None:
    torch.testing.assert_close(kernel("generalised", 2, power=2.0), kernel("elliptic", 2))


def test_motion_lies_along_its_angle() -> None:
    down, right = second_moments(kernel("motion", 3, angle=0.0))
    assert float(right) > 20 * float(down)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("family", ["bilinear", "bicubic"])
def test_shrinking_is_what_torch_does_with_antialiasing(family: str, scale: int) -> None:
    hr = torch.rand(2, 3, 12 * scale, 10 * scale, generator=torch.Generator().manual_seed(0))
    weights = resampling_weights(family, scale, torch.zeros(2), int(SUPPORT[family] * scale + 1))
    expected = F.interpolate(hr, (12, 10), mode=family, antialias=True, align_corners=False)
    inner = (
        ...,
        slice(3, -3),
        slice(3, -3),
    )  # torch cuts the kernel at the border, we continue the picture
    torch.testing.assert_close(
        shrunk(hr, torch.ones(2, 1, 1), weights, weights, scale)[inner],
        expected[inner],
        atol=2e-3,
        rtol=0,
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_area_is_the_mean_of_the_pixels_covered(scale: int) -> None:
    hr = torch.rand(1, 3, 6 * scale, 6 * scale, generator=torch.Generator().manual_seed(0))
    weights = resampling_weights("area", scale, torch.zeros(1), scale + 1)
    torch.testing.assert_close(
        shrunk(hr, torch.ones(1, 1, 1), weights, weights, scale), F.avg_pool2d(hr, scale)
    )


def test_blurring_and_shrinking_at_once_is_doing_one_after_the_other() -> None:
    hr = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    blurs = torch.cat(
        [kernel("elliptic", 1.3, 5).float()[None], kernel("motion", 1.3, 5).float()[None]]
    )
    rows, columns = (
        resampling_weights("lanczos", 4, phase, 14)
        for phase in (torch.tensor([0.0, 0.7]), torch.tensor([-0.4, 0.2]))
    )
    one, none = torch.ones(2, 1), torch.ones(2, 1, 1)
    apart = shrunk(shrunk(hr, blurs, one, one, 1), none, rows, columns, 4)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(
        shrunk(hr, blurs, rows, columns, 4)[inner], apart[inner], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("family", RESAMPLERS)
def test_phase_moves_the_picture_by_so_many_pixels(family: str) -> None:
    ramp = torch.arange(64.0).expand(1, 3, 64, 64) / 64
    still, moved = (
        resampling_weights(family, 4, torch.tensor([phase]), 14) for phase in (0.0, 1.0)
    )
    difference = shrunk(ramp, torch.ones(1, 1, 1), still, moved, 4) - shrunk(
        ramp, torch.ones(1, 1, 1), still, still, 4
    )
    torch.testing.assert_close(
        difference[..., 5:-5, 5:-5], torch.full((1, 3, 6, 6), 1 / 64), atol=1.5e-3, rtol=0
    )
