"""Texture is compared wherever its grains lie, and a lattice is not taken for it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ibsd.distillation.texture import MINIMUM_SIZE_PX, autocovariance, texture_distance
from ibsd.types import InputError

SIZES = (0.0, 0.01, 0.02, 0.05, 0.1)


def grains(seed: int, size: float = 0.05) -> Tensor:
    noise = torch.randn(2, 1, 96, 96, generator=torch.Generator().manual_seed(seed))
    return 0.5 + size * noise.expand(-1, 3, -1, -1)


def lattice(size: float = 0.05) -> Tensor:
    """Dots at a period of four pixels, of deviation `size`."""
    dots = torch.zeros(2, 3, 96, 96)
    dots[..., ::4, ::4] = 1
    return 0.5 + size * (dots - dots.mean()) / dots.std()


def test_equal_pictures_have_no_distance_and_either_may_come_first() -> None:
    a, b = grains(0), grains(1, 0.2)
    assert texture_distance(a, a) == 0
    assert texture_distance(a, b) == texture_distance(b, a) > 0


def test_other_grains_are_near_a_smooth_picture_is_far_and_a_lattice_farther() -> None:
    hr = grains(0)
    other, smooth, locked = (
        texture_distance(sr, hr) for sr in (grains(1), grains(1, 0.005), lattice())
    )
    assert other < 0.5 * smooth
    assert other < 0.25 * locked


def test_a_lattice_costs_more_where_there_is_less_to_hide_it() -> None:
    costs = [texture_distance(grains(0, size) + lattice() - 0.5, grains(0, size)) for size in SIZES]
    assert costs == sorted(costs, reverse=True)


def test_lags_by_hand() -> None:
    """A row pattern of period four: the product with what lies four below equals the variance."""
    rows = torch.tensor([1.0, -1.0, -1.0, 1.0]).repeat(12).view(1, 1, 48, 1)
    covariance = autocovariance((0.5 + 0.1 * rows).expand(1, 3, 48, 48))
    lags = covariance.mean((0, 2, 3))
    assert lags[:5] == pytest.approx([lags[0].item()] * 5)  # along a row
    assert lags[-9:] == pytest.approx([lags[0].item()] * 9)  # four rows below
    assert lags[5 + 9 : 5 + 18] == pytest.approx([-lags[0].item()] * 9)  # two rows below


def test_gradients_take_a_lattice_away_where_hr_is_flat() -> None:
    flat, sr = torch.full((1, 3, 32, 32), 0.5), lattice(0.02)[:1, :, :32, :32]
    before = texture_distance(sr, flat)
    for _ in range(12):
        sr = sr.detach().requires_grad_()
        (slope,) = torch.autograd.grad(texture_distance(sr, flat), sr)
        sr = sr - 0.005 * slope / slope.abs().max()
    assert texture_distance(sr, flat) < 0.5 * before


def test_the_smallest_patches() -> None:
    texture_distance(*torch.rand(2, 1, 3, MINIMUM_SIZE_PX, MINIMUM_SIZE_PX))
    with pytest.raises(InputError, match="at least 28 x 28 px, not 27 x 40: raise data.patch_px"):
        texture_distance(*torch.rand(2, 1, 3, 27, 40))
