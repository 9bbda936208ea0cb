"""The learning rate's closed forms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from ibsd.distillation import Plain
from ibsd.training import Schedule, Trainer, TrainingOptions


@given(step=st.integers(0, 10**6))
def test_constant(step: int):
    assert Schedule("constant").factor(step, 10**6) == 1


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 1),
        (99_999, 1),
        (100_000, 0.5),
        (199_999, 0.5),
        (200_000, 0.25),
        (399_999, 0.125),
        (400_000, 0.0625),
        (10**6, 0.0625),
    ],
)
def test_published_steps(step: int, factor: float):
    assert Schedule("step").factor(step, 500_000) == factor


def test_own_milestones_and_gamma():
    schedule = Schedule("step", milestones=(3, 5), gamma=0.1)
    assert [schedule.factor(step, 9) for step in range(7)] == pytest.approx(
        [1, 1, 1, 0.1, 0.1, 0.01, 0.01]
    )


@given(num_steps=st.integers(2, 10**6), share=st.floats(0, 1), final=st.floats(0, 1))
def test_cosine(num_steps: int, share: float, final: float):
    schedule, step = Schedule("cosine", final_factor=final), int(share * (num_steps - 1))
    expected = (
        final + (1 - final) * math.cos(math.pi * step / (2 * num_steps)) ** 2
    )  # the half-angle form
    assert schedule.factor(step, num_steps) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert schedule.factor(0, num_steps) == 1
    assert schedule.factor(step, num_steps) >= schedule.factor(step + 1, num_steps)
    assert schedule.factor(num_steps, num_steps) == pytest.approx(final)


@given(
    kind=st.sampled_from(["constant", "step", "cosine"]),
    warm_up=st.integers(1, 50),
    step=st.integers(0, 99),
)
def test_warm_up_rises_linearly_to_the_schedule(kind: str, warm_up: int, step: int):
    plain, warmed = (
        Schedule(kind).factor(step, 100),
        Schedule(kind, warm_up=warm_up).factor(step, 100),
    )
    assert warmed == pytest.approx(plain * min(1, (step + 1) / warm_up))
    assert Schedule(kind, warm_up=warm_up).factor(0, 100) > 0


def test_an_unknown_kind_is_not_taken_for_constant():
    with pytest.raises(ValueError, match="linear"):
        Schedule("linear").factor(0, 10)


def test_the_trainer_uses_it():
    used, schedule = [], Schedule("cosine", warm_up=3)
    trainer = Trainer(
        Plain(tiny.student()),
        tiny.source(),
        TrainingOptions(num_steps=6, learning_rate=1e-3, schedule=schedule),
    )
    trainer.on_step = lambda step, terms: used.append(trainer.optimizer.param_groups[0]["lr"])
    trainer.run()
    assert used == pytest.approx([1e-3 * schedule.factor(step, 6) for step in range(6)])
