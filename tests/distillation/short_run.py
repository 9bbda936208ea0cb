"""A training of a few steps, and whether it went as plain training does."""

from __future__ import annotations

from functools import cache

import torch

import tiny
from ibsd.distillation.objective import Objective
from ibsd.distillation.plain import Plain
from ibsd.training.options import TrainingOptions
from ibsd.training.trainer import Trainer

NUM_STEPS = 8


def trained(objective: Objective, num_steps: int = NUM_STEPS) -> dict[str, torch.Tensor]:
    """The student's weights at the end."""
    options = TrainingOptions(
        num_steps=num_steps,
        learning_rate=1e-3,
        diagnostics_every=0,
        checkpoint_every=0,
        validate_every=0,
    )
    Trainer(objective, tiny.source(), options).run()
    return objective.student.state_dict()


@cache
def plainly_trained() -> dict[str, torch.Tensor]:
    return trained(Plain(tiny.student()))


def is_plain(objective: Objective) -> bool:
    """Whether it trains `tiny.student()` as plain training does, bit for bit."""
    plain, ours = plainly_trained(), trained(objective)
    return all(torch.equal(value, ours[name]) for name, value in plain.items())
