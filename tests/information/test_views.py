"""Laws of bounds between views."""

from __future__ import annotations

import math

import pytest
import torch

from ibsd.information.club import club_upper_bound
from ibsd.information.views import two_view_bound, view_statistics_distance, views_upper_bound
from ibsd.types import InputError


def maps(rows: int = 4, channels: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((rows, channels, 5, 4), generator=generator, dtype=torch.float64)


def test_equal_views_have_no_information() -> None:
    half = maps(2)
    earlier, location = torch.cat([half, half]), torch.cat([maps(2, seed=1)] * 2)
    assert views_upper_bound(earlier, location, torch.ones_like(earlier)) == 0
    frequencies, phases = torch.randn(6, 3).double(), torch.zeros(6).double()
    assert view_statistics_distance(earlier, frequencies, phases) < 1e-20


def test_two_rows_of_one_photograph_are_club_with_the_other_row() -> None:
    earlier, location = maps(2), maps(2, seed=1)
    spread = maps(2, seed=2).exp()
    ours = views_upper_bound(earlier, location, spread)
    assert torch.allclose(ours, club_upper_bound(earlier, location, spread, negatives="others"))


def test_content_that_both_views_share_is_not_priced() -> None:
    """Published negatives price content; those of the same photograph do not."""
    content = torch.cat([maps(4)] * 2)
    location, spread = content, torch.ones_like(content)
    assert club_upper_bound(content, location, spread) > 0.5
    assert views_upper_bound(content, location, spread) == 0


def test_the_two_view_bound_is_the_entropy_of_a_laplace_at_its_best_spread() -> None:
    """With |z1 - z2| = d everywhere, in units of Z, the best spread is d, the bound 1 + log 2d."""
    base = maps(64, 2)
    base = (base - base.mean((0, 2, 3), keepdim=True)) / base.std((0, 2, 3), keepdim=True)
    step = 0.01
    features = torch.cat([base, base + step])
    log_spread = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([log_spread], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        bound = two_view_bound(features, log_spread)
        bound.backward()
        optimizer.step()
    assert float(bound.detach()) == pytest.approx(1 + math.log(2 * step), abs=0.01)


def test_scaling_features_gains_nothing() -> None:
    features, log_spread = maps(), torch.zeros(3, dtype=torch.float64)
    small = two_view_bound(0.01 * features, log_spread)
    assert torch.allclose(small, two_view_bound(features, log_spread), atol=1e-3)


@pytest.mark.parametrize(("rows", "views"), [(4, 1), (5, 2)])
def test_without_two_views_there_is_a_sentence(rows: int, views: int) -> None:
    x = maps(rows)
    with pytest.raises(InputError, match="views"):
        views_upper_bound(x, x, torch.ones_like(x), views)


def test_the_gradient_of_the_two_view_bound_cannot_shrink_features() -> None:
    """Euler: along Z itself, channel by channel, there is no slope."""
    features = maps().requires_grad_()
    two_view_bound(features, torch.zeros(3, dtype=torch.float64)).backward()
    assert features.grad is not None
    along = (features.grad * features.detach()).sum(dim=(0, 2, 3))
    assert along.abs().max() < 1e-6 * features.grad.abs().sum()
