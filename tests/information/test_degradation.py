"""Laws of the degradation's signature and of what statistics of a feature map tell of it."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.information.conditional import conditional_information
from ibsd.information.degradation import (
    SIGNATURE_SIZE,
    DegradationChain,
    DegradationEstimator,
    degradation_signature,
)
from ibsd.types import InputError


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_repeated_has_signature_0_and_a_shift_of_colour_is_read_off(scale: int) -> None:
    lr = 0.8 * pictures(2, 3, 8, 8)
    hr = lr.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    assert degradation_signature(lr, hr, scale).abs().max() < 1e-5
    shift = torch.tensor([0.05, -0.02, 0.1]).view(1, 3, 1, 1)
    signature = degradation_signature(lr + shift, hr, scale)
    assert signature.shape == (2, SIGNATURE_SIZE, 1, 1)
    torch.testing.assert_close(signature[:, 2:], shift.expand(2, -1, -1, -1), atol=1e-5, rtol=0)
    assert signature[:, :2].abs().max() < 1e-5  # neighbours differ as before


def test_half_the_contrast_is_minus_log_2_and_blur_takes_more_of_the_finer_level() -> None:
    hr = pictures(2, 3, 64, 64, seed=1)
    shrunk = F.avg_pool2d(hr, 2)
    half = degradation_signature(0.5 * shrunk + 0.25, hr, 2)[:, :2]
    assert half.mean() == pytest.approx(
        -math.log(2), abs=0.05
    )  # the one level of 8 bits in both logarithms shows
    blurred = degradation_signature(
        F.avg_pool2d(shrunk, 3, stride=1, padding=1, count_include_pad=False), hr, 2
    )
    assert (blurred[:, 0] < blurred[:, 1]).all()
    assert (blurred[:, 1] < -0.1).all()


@pytest.mark.parametrize("side_px", [1, 3, 4])
def test_patches_too_small_for_two_sizes_are_refused_rather_than_not_a_number(side_px: int) -> None:
    lr, hr = pictures(1, 3, side_px, 8), pictures(1, 3, 2 * side_px, 16)
    if side_px < 4:
        with pytest.raises(InputError, match=rf"\[{side_px}, 8\]; it must be at least 4 px"):
            degradation_signature(lr, hr, 2)
    else:
        assert degradation_signature(lr, hr, 2).isfinite().all()


def test_flat_patches_and_single_pixels_are_finite_in_value_and_gradient() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert degradation_signature(flat, torch.full((1, 3, 16, 16), 0.5), 2).abs().max() == 0
    node = torch.zeros(2, 4, 1, 1, requires_grad=True)
    sum(tensor.sum() for tensor in DegradationEstimator(4)(node)).backward()
    assert node.grad is not None
    assert node.grad.isfinite().all()


@pytest.mark.slow
def test_information_starts_at_0_and_statistics_that_hold_the_signature_are_found_out() -> None:
    """t is spread as Laplace(0, 0.2); a node whose mean is t with error Laplace(0, 0.02) holds
    log(0.2 / 0.02) = 2.303 nats of it."""
    generator = torch.Generator().manual_seed(0)

    def laplace(spread: float) -> Tensor:
        return torch.distributions.Laplace(0.0, spread).icdf(
            torch.rand(1024, SIGNATURE_SIZE, 1, 1, generator=generator) * 0.9998 + 0.0001
        )

    def maps() -> tuple[Tensor, ...]:
        signature = laplace(0.2)
        telling = (signature + laplace(0.02)).expand(-1, -1, 2, 2)
        silent = torch.randn(1024, SIGNATURE_SIZE, 2, 2, generator=generator)
        return silent, telling, silent, signature  # F0 is not asked

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        chain = DegradationChain(SIGNATURE_SIZE, links=2)
    known, unknown = maps(), maps()
    assert [conditional_information(*link).item() for link in chain.links(known)] == [0, 0]
    optimizer = torch.optim.Adam(chain.parameters(), lr=0.01)
    for step in range(150):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 150)
        optimizer.zero_grad()
        chain.nll(known).backward()
        optimizer.step()
    with torch.no_grad():
        telling, silent = (float(conditional_information(*link)) for link in chain.links(unknown))
    assert telling == pytest.approx(math.log(10), abs=0.25)
    assert silent < 0.05
    with pytest.raises(InputError, match="not 2 nodes"):
        chain.links(known[1:])
