"""Laws of BYOT: without weight it is plain training; student and heads together get the gradients
of one backward pass; teachers get none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ibsd
import tiny
from distillation.short_run import is_plain
from ibsd.distillation.byot import BYOT
from ibsd.types import Batch, InputError


@pytest.mark.slow
def test_without_weight_it_is_plain_bit_for_bit() -> None:
    assert is_plain(BYOT(tiny.student(), lambda_heads=0.0, lambda_hint=0.0))
    assert not is_plain(BYOT(tiny.student(), lambda_heads=0.0))


def joint_gradients(objective: BYOT, batch: Batch) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Of student and heads, by one backward pass through everything, written out from the
    equation."""
    sr, nodes = objective.student.trace(batch.lr)
    total, weights = (sr - batch.hr).abs().mean(), objective.weights
    for head, node in zip(objective.heads, nodes[:-1], strict=True):
        hint, picture = head(node)
        total = (
            total
            + weights["heads_hr"] * (picture - batch.hr).abs().mean()
            + weights["heads_sr"] * (picture - sr.detach()).abs().mean()
        )
        total = total + weights["hint"] * (hint - nodes[-1].detach()).square().mean()
    student, heads = list(objective.student.parameters()), list(objective.heads.parameters())
    gradients = torch.autograd.grad(total, student + heads)
    return list(gradients[: len(student)]), list(gradients[len(student) :])


def test_gradients_are_those_of_one_backward_pass_and_stay_apart() -> None:
    objective, batch = (
        BYOT(tiny.student(), lambda_heads=0.7, alpha=0.4, lambda_hint=0.3),
        tiny.source().next_batch(),
    )
    for_student, for_heads = joint_gradients(objective, batch)
    report = objective.loss(batch)
    report.total.backward()
    assert all(parameter.grad is None for parameter in objective.heads.parameters())
    for parameter, expected in zip(objective.student.parameters(), for_student, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected)
        parameter.grad = None
    before = [parameter.detach().clone() for parameter in objective.heads.parameters()]
    objective.auxiliary_step(report.nodes)
    assert all(parameter.grad is None for parameter in objective.student.parameters())
    for parameter, expected, old in zip(
        objective.heads.parameters(), for_heads, before, strict=True
    ):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, expected)
        assert not torch.equal(parameter, old)


@pytest.mark.slow
def test_heads_stand_on_all_nodes_but_the_deepest_and_learn() -> None:
    objective = BYOT(tiny.student(), head_learning_rate=1e-2)
    assert len(objective.heads) == 3
    batch = tiny.source().next_batch()
    first = objective.loss(batch)
    for _ in range(60):
        objective.auxiliary_step(objective.loss(batch).nodes)
    last = objective.loss(batch)
    assert (
        last.total < 0.8 * first.total
    )  # heads_sr alone may rise: the student is untrained, and HR draws the heads elsewhere
    assert last.terms["heads_hr"] < 0.5 * first.terms["heads_hr"]
    assert last.terms["l1"].equal(first.terms["l1"])


def test_head_initialisation_follows_the_seed_alone() -> None:
    one, same, other = (
        BYOT(tiny.student(k), seed=seed).heads.state_dict() for k, seed in enumerate((3, 3, 4))
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_nodes_of_another_size_than_lr_are_refused() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 2, stride=2), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 48, 1), nn.PixelShuffle(4)
    )
    with pytest.raises(InputError, match="LR's size"):
        BYOT(ibsd.tap(module, ["0", "1"])).loss(tiny.source().next_batch())


def test_refuses_weights_out_of_range() -> None:
    for options in ({"alpha": 1.5}, {"lambda_heads": -1.0}, {"lambda_hint": float("nan")}):
        with pytest.raises(InputError, match="byot"):
            BYOT(tiny.student(), **options)
