"""The controller reaches the share that was asked for, and holds it when the term changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ibsd.distillation.gradient_share import GradientShare, gradient_norm


class Pair(nn.Module):
    """A student of two weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([3.0, 4.0]))

    def terms(self, factor: float) -> dict[str, torch.Tensor]:
        return {"l1": self.weights.abs().sum(), "bound": factor * self.weights.square().sum()}


def test_the_first_measurement_hits_and_later_ones_follow() -> None:
    pair = Pair()
    share = GradientShare("bound", 0.1, 1e-4, every=1)
    for k, factor in enumerate([1.0] * 3 + [8.0] * 12):
        terms = pair.terms(factor)
        share.measure(terms, pair)
        if k in (0, 2, 14):
            norms = {name: gradient_norm(term, [pair.weights]) for name, term in terms.items()}
            measured = share.weight * norms["bound"] / norms["l1"]
            assert measured == pytest.approx(0.1, rel=0.02)


def test_without_a_share_the_weight_stays_and_nothing_is_measured() -> None:
    share = GradientShare("bound", 0.0, 0.5)
    share.measure({}, Pair())
    assert share.weight == 0.5


def test_a_gradient_that_is_not_finite_leaves_the_weight() -> None:
    share = GradientShare("bound", 0.1, 0.5, every=1)
    for factor in (float("inf"), float("nan")):
        pair = Pair()
        share.measure(pair.terms(factor), pair)
        assert share.weight == 0.5


def test_its_state_travels() -> None:
    pair = Pair()
    first, second = GradientShare("bound", 0.3, 1.0), GradientShare("bound", 0.3, 1.0)
    first.measure(pair.terms(1.0), pair)
    second.load_state(first.state())
    assert second.state() == first.state()
