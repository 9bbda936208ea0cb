"""The controller reaches the share that was asked for, and holds it when the term changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ibsd.distillation.gradient_share import GradientShare, gradient_norm


def test_the_first_measurement_hits_and_later_ones_follow() -> None:
    weights = nn.Parameter(torch.tensor([3.0, 4.0]))
    share = GradientShare(0.1, 1e-4, every=1)
    for k, factor in enumerate([1.0] * 3 + [8.0] * 12):
        l1, term = weights.abs().sum(), factor * weights.square().sum()
        weight = share.update(term, l1, [weights])
        if k in (0, 2, 14):
            measured = weight * gradient_norm(term, [weights]) / gradient_norm(l1, [weights])
            assert measured == pytest.approx(0.1, rel=0.02)


def test_without_a_share_the_weight_stays_and_nothing_is_measured() -> None:
    share = GradientShare(0.0, 0.5)
    assert share.update(torch.zeros(()), torch.zeros(()), []) == 0.5


def test_its_state_travels() -> None:
    weights = nn.Parameter(torch.ones(2))
    first, second = GradientShare(0.3, 1.0), GradientShare(0.3, 1.0)
    first.update(weights.square().sum(), weights.abs().sum(), [weights])
    second.load_state(first.state())
    assert second.state() == first.state()
