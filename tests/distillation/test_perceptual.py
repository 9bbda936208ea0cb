"""L1, LPIPS and no grid: LPIPS looks at every phase of its first convolution, and a pattern of the
upscaler's period has a price of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.distillation.perceptual import PERIOD_PX, Perceptual, at_every_phase, grid
from ibsd.metrics import Lpips
from ibsd.types import Batch, InputError


def with_dots(place: tuple[int, int]) -> Tensor:
    """A grey picture with a brighter pixel at one place of every period, so small that only the
    first convolution's phase tells the places apart."""
    picture = torch.full((1, 3, 67, 67), 0.5)
    picture[..., place[0] :: PERIOD_PX, place[1] :: PERIOD_PX] += 0.02
    return picture


def test_sixteen_pictures_are_cut_at_sixteen_places_and_any_four_at_every_row_and_column() -> None:
    picture = torch.rand(3, 42, 45)
    cut = at_every_phase(picture.expand(16, -1, -1, -1))
    whole = {
        (top, left): picture[:, top : top + 39, left : left + 42]
        for top in range(4)
        for left in range(4)
    }
    places = [
        next(place for place, part in whole.items() if torch.equal(part, each)) for each in cut
    ]
    assert len(set(places)) == 16
    for first in range(0, 16, 4):
        rows, columns = zip(*places[first : first + 4], strict=True)
        assert sorted(rows) == sorted(columns) == [0, 1, 2, 3]


def test_where_in_the_period_a_pattern_lies_makes_no_difference_over_all_phases() -> None:
    lpips, grey = Lpips(), torch.full((1, 3, 67, 67), 0.5)
    places = [(0, 0), (1, 2), (3, 3)]
    fixed = torch.stack(
        [lpips(with_dots(place)[..., :64, :64], grey[..., :64, :64]).mean() for place in places]
    )
    every = torch.stack(
        [
            lpips(
                at_every_phase(with_dots(place).expand(16, -1, -1, -1)),
                at_every_phase(grey.expand(16, -1, -1, -1)),
            ).mean()
            for place in places
        ]
    )
    assert every.min() > 0.7 * every.max()
    assert fixed.max() - fixed.min() > 3 * (every.max() - every.min())


@pytest.mark.parametrize("period", [2, 3, 4])
def test_the_grid_of_one_brighter_place_is_its_share_and_that_of_an_even_error_nothing(
    period: int,
) -> None:
    error = torch.full((2, 3, 11 * period, 9 * period), 0.3)
    assert grid(error, period) < 1e-6
    error[..., 1::period, ::period] += 0.5
    share = 1 / period**2
    assert grid(error, period).item() == pytest.approx(0.5 * 2 * share * (1 - share), rel=1e-4)


def test_a_grid_that_comes_and_goes_is_found_and_noise_is_not_taken_for_one() -> None:
    pattern = torch.zeros(1, 1, 128, 128)
    pattern[..., ::4, ::4] = 0.1
    lights_up = pattern * torch.linspace(-1, 1, 128)  # its sum over the picture is nothing
    noise = 0.1 * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    assert grid(lights_up, 4) > 0.3 * grid(pattern, 4)
    left = (
        0.1 * (2 / torch.pi) ** 0.5 / 8
    )  # the mean of 8 x 8 normal errors of deviation 0.1, its mean size
    assert grid(noise, 4) < 1.1 * left


def test_gradients_take_a_grid_away_and_leave_the_rest() -> None:
    error = torch.full((1, 1, 32, 32), 0.2)
    error[..., 2::4, 1::4] += 0.1
    error.requires_grad_()
    for _ in range(100):
        (slope,) = torch.autograd.grad(grid(error, 4), error)
        error = (error - 0.5 * slope).detach().requires_grad_()
    assert grid(error, 4) < 0.2 * 0.1 * 2 / 16
    assert error.mean().item() == pytest.approx(0.2 + 0.1 / 16, abs=1e-5)


def test_it_is_l1_the_grid_and_lpips_of_the_last_patches() -> None:
    student = tiny.student()
    batch = Batch(torch.rand(3, 3, 20, 20), torch.rand(3, 3, 40, 40), None)
    terms, _ = Perceptual(student, num_patches=2).terms(batch)
    sr = student(batch.lr)
    assert torch.equal(terms["l1"], (sr - batch.hr).abs().mean())
    expected = [
        Lpips()(sr[1:2, :, :37, :37], batch.hr[1:2, :, :37, :37]),
        Lpips()(sr[2:, :, 1:38, 1:38], batch.hr[2:, :, 1:38, 1:38]),
    ]
    assert torch.allclose(terms["lpips"], torch.cat(expected).mean(), atol=1e-6)
    assert torch.equal(terms["grid"], grid(sr - batch.hr, 2))


def test_the_smallest_patches_are_cut_by_less() -> None:
    assert [
        at_every_phase(torch.rand(4, 3, side, side)).shape[-1] for side in (31, 32, 33, 34, 40)
    ] == [31, 31, 31, 31, 37]
    objective = Perceptual(tiny.student())
    objective.terms(Batch(torch.rand(4, 3, 16, 16), torch.rand(4, 3, 32, 32), None))
    with pytest.raises(InputError, match="at least 31 x 31 px, not 28 x 28"):
        objective.terms(Batch(torch.rand(1, 3, 14, 14), torch.rand(1, 3, 28, 28), None))
