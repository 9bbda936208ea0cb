"""A second view of a pair is near the first, seeded, and another for every patch."""

from __future__ import annotations

import torch

from ibsd.data.jitter import jittered
from ibsd.data.samples import sample_pair
from ibsd.images.rgb import to_tensor


def patches() -> torch.Tensor:
    lr = to_tensor(sample_pair("coffee", 4)[0])[..., :24, :24]
    return lr.repeat(6, 1, 1, 1)


def test_it_is_a_mild_change_in_range_and_in_eight_bits() -> None:
    lr = patches()
    view = jittered(lr, torch.Generator().manual_seed(0))
    assert view.shape == lr.shape
    assert view.min() >= 0
    assert view.max() <= 1
    assert torch.equal((view * 255).round() / 255, view)
    error = (view - lr).square().mean((1, 2, 3)).sqrt()
    assert (error > 0.002).all()
    assert (error < 0.1).all()


def test_every_patch_draws_its_own_and_the_seed_decides() -> None:
    lr = patches()
    first, again, other = (jittered(lr, torch.Generator().manual_seed(k)) for k in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
