"""The controller reaches the share that was asked for, and holds it when the term changes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from ibsd.distillation.gradient_share import GradientShare, gradient_norm
from ibsd.distributed import Processes


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


class Two(Processes):
    """Of two processes this one. It is told what the other has measured."""

    def __init__(self, others: float) -> None:
        super().__init__(0, 2)
        self.others = others

    def mean_values(self, values: Mapping[str, float]) -> dict[str, float]:
        return {name: (value + self.others) / 2 for name, value in values.items()}


def test_processes_that_measure_differently_hold_one_weight() -> None:
    pairs, factors = (Pair(), Pair()), (1.0, 3.0)
    terms = [pair.terms(factor) for pair, factor in zip(pairs, factors, strict=True)]
    own = [
        gradient_norm(term["bound"], [pair.weights]) / gradient_norm(term["l1"], [pair.weights])
        for term, pair in zip(terms, pairs, strict=True)
    ]
    weights: list[float] = []
    for k in (0, 1):
        share = GradientShare("bound", 0.1, 1.0)
        share.measure(terms[k], pairs[k], Two(own[1 - k]))
        weights.append(share.weight)
    assert weights == pytest.approx([0.2 / sum(own)] * 2)


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
