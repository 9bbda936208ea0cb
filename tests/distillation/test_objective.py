"""Laws of what all objectives share: the weighted total, the ramp, modules that are held fixed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import tiny
from ibsd.distillation.objective import Objective, held_fixed, ramp_factor
from ibsd.types import Batch


class Two(Objective):
    """Two terms, of which the second is not finite."""

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        l1 = (self.student(batch.lr) - batch.hr).abs().mean()
        return {"l1": l1, "other": l1 * torch.nan}, ()


def test_a_term_of_weight_0_never_touches_the_total():
    objective, batch = Two(tiny.student(), {"l1": 1.0, "other": 0.0}), tiny.source().next_batch()
    report = objective.loss(batch)
    assert torch.equal(report.total.detach(), report.terms["l1"])
    assert report.terms["other"].isnan()
    assert not report.terms["l1"].requires_grad


def test_a_bare_module_is_told_of_tap():
    with pytest.raises(ValueError, match=r"ibsd\.tap"):
        Two(nn.Linear(2, 2), {})  # type: ignore[arg-type]


def test_the_total_is_the_weighted_sum():
    objective = Two(tiny.student(), {"l1": 0.5, "other": 3.0})
    total = objective.weighted_total({"l1": torch.tensor(4.0), "other": torch.tensor(2.0)})
    assert total == 8


@pytest.mark.parametrize(
    ("step", "warm_up", "ramp", "factor"),
    [(0, 0, 0, 1), (1, 2, 0, 0), (2, 2, 0, 1), (0, 0, 4, 0.25), (4, 3, 4, 0.5), (9, 3, 4, 1)],
)
def test_ramp_by_hand(step: int, warm_up: int, ramp: int, factor: float):
    assert ramp_factor(step, warm_up, ramp) == factor


def test_held_fixed_lets_gradients_through_to_the_input_alone():
    layer, x = nn.Linear(2, 2), torch.ones(1, 2, requires_grad=True)
    with held_fixed(layer):
        y = layer(x).sum()
    y.backward()
    assert x.grad is not None
    assert layer.weight.grad is None


def test_held_fixed_is_undone_even_after_an_error():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    frozen = next(module.parameters()).requires_grad_(False)
    asked: list[bool] = []

    def fail() -> None:
        with held_fixed(module):
            asked.extend(parameter.requires_grad for parameter in module.parameters())
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert not any(asked)
    assert not frozen.requires_grad
    assert all(parameter.requires_grad for parameter in list(module.parameters())[1:])
