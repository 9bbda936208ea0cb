"""The guard: bad steps are skipped and counted, a ruined run stops with a reason, and what was good
stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tiny
from ibsd.distillation import IBSD, Plain
from ibsd.students import Student
from ibsd.training import Trainer, TrainingOptions
from ibsd.training.checkpoint import load_newest
from ibsd.training.tracking import JsonLines
from ibsd.types import Batch


class Scripted(Plain):
    """Plain training whose loss is multiplied by what `factor(step)` says."""

    def __init__(self, student: Student, factor: Callable[[int], float]) -> None:
        super().__init__(student)
        self.factor, self.step = factor, 0

    def begin_step(self, step: int, num_steps: int) -> None:
        self.step = step

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        terms, nodes = super().terms(batch)
        return {"l1": terms["l1"] * self.factor(self.step)}, nodes


def run(
    factor: Callable[[int], float], checkpoints: Path | None = None, **options: Any
) -> tuple[Any, Trainer, list[str], list[Tensor]]:
    said: list[str] = []
    weights: list[Tensor] = []
    trainer = Trainer(
        Scripted(tiny.student(), factor),
        tiny.source(),
        TrainingOptions(**{"num_steps": 20, "learning_rate": 1e-3} | options),
        checkpoints=checkpoints,
        log=said.append,
    )
    trainer.on_step = lambda step, terms: weights.append(
        trainer.student.c[0].weight.detach().clone()
    )
    return trainer.run(), trainer, said, weights


def at(steps: Iterable[int], value: float) -> Callable[[int], float]:
    return lambda step: value if step in steps else 1.0


@pytest.mark.slow
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e3, 30.0])
def test_bad_steps_are_skipped_counted_and_said(value: float):
    result, trainer, said, weights = run(at({14, 15, 18}, value))
    assert result.finished
    assert result.skipped == 3
    assert trainer.guard.consecutive == 0
    assert len(said) == 2  # once for each streak
    assert "step 14" in said[0]
    assert "step 18" in said[1]
    for step in range(1, 20):
        assert torch.equal(weights[step], weights[step - 1]) == (step in {14, 15, 18})
    assert all(bool(weight.isfinite().all()) for weight in weights)
    assert trainer.average.updates == 17


@pytest.mark.slow
def test_what_is_not_finite_is_skipped_from_the_first_step_on():
    result, _, _, weights = run(at({0, 1, 4}, math.nan))
    assert result.skipped == 3
    assert all(bool(weight.isfinite().all()) for weight in weights)


@pytest.mark.slow
def test_a_step_below_the_threshold_is_taken():
    result, _, said, _ = run(at({14, 15, 18}, 4.0))
    assert result.skipped == 0
    assert not said


def test_a_gradient_that_is_not_finite_is_skipped_though_the_loss_is():
    class Kinked(Scripted):
        def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
            terms, nodes = super().terms(batch)
            if self.step == 3:
                parameter = next(self.student.parameters())
                terms["l1"] = (
                    terms["l1"] + (parameter - parameter.detach()).square().sum().sqrt()
                )  # value 0, gradient 0/0
            return terms, nodes

    said: list[str] = []
    trainer = Trainer(
        Kinked(tiny.student(), at((), 1)),
        tiny.source(),
        TrainingOptions(num_steps=6),
        log=said.append,
    )
    assert trainer.run().skipped == 1
    assert "step 3" in said[0]
    assert all(bool(parameter.isfinite().all()) for parameter in trainer.student.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("value", [math.nan, 1e6])
def test_too_many_in_a_row_stop_the_run_and_the_good_checkpoint_stays(tmp_path: Path, value: float):
    result, _, _, weights = run(
        at(range(13, 99), value), max_consecutive_skips=5, checkpoints=tmp_path, checkpoint_every=3
    )
    assert not result.finished
    assert result.step == 18
    assert result.skipped == 5
    assert "5 steps in a row" in result.reason
    assert "learning_rate" in result.reason
    step, state = load_newest(tmp_path, pytest.fail)
    assert step == 12
    assert state["guard"][2] == 0
    assert torch.equal(state["student"]["c.0.weight"], weights[11])


@pytest.mark.slow
def test_checkpoints_during_a_streak_do_not_push_the_good_ones_out(tmp_path: Path):
    run(
        at(range(7, 99), math.nan),
        max_consecutive_skips=10,
        checkpoints=tmp_path,
        checkpoint_every=1,
        keep=2,
    )
    step, state = load_newest(tmp_path, pytest.fail)
    assert state["guard"][2] == 0, f"the newest, of step {step}, stands in the middle of the streak"
    assert step == 7


@pytest.mark.slow
def test_a_streak_at_the_very_end_is_not_called_finished():
    result, _, _, _ = run(at(range(15, 20), math.nan), max_consecutive_skips=5)
    assert not result.finished
    assert "in a row" in result.reason


@pytest.mark.slow
def test_an_easy_first_batch_does_not_end_the_run():
    result, _, _, _ = run(at({0}, 1e-3), num_steps=60, max_consecutive_skips=20)
    assert result.finished, result.reason


@pytest.mark.slow
def test_a_bad_first_batch_does_not_blind_the_guard():
    result, trainer, _, _ = run(at({0}, math.nan))
    assert result.finished
    assert result.skipped == 1
    assert 0 < float(trainer.guard.mean) < 10


@pytest.mark.slow
def test_a_loss_below_zero_is_no_explosion():
    """The bound can be negative where estimators lag, and so can the total."""
    result, _, _, _ = run(lambda step: -1.0, learning_rate=1e-5)
    assert result.skipped == 0


@pytest.mark.slow
def test_estimators_survive_a_batch_that_is_skipped():
    student, source = tiny.student(), tiny.source()
    objective = IBSD(student, warm_up=0, ramp=0, lambda_mi=1e-3)
    trainer = Trainer(objective, source, TrainingOptions(num_steps=8, learning_rate=1e-3))
    cut = source.cut
    source.cut = lambda origin: (
        cut(origin) if trainer.step != 4 else cut(origin)._replace(lr=cut(origin).lr * math.nan)
    )
    assert trainer.run().skipped == 1
    assert all(
        bool(parameter.isfinite().all())
        for parameter in [*objective.chain.parameters(), *student.parameters()]
    )
    assert math.isfinite(objective.diagnostics(source.next_batch())["bound/link1"])


def test_scores_may_be_numpys(tmp_path: Path):
    trainer = Trainer(
        Plain(tiny.student()),
        tiny.source(),
        TrainingOptions(num_steps=2),
        checkpoints=tmp_path,
        validate=lambda student, step: {"x": np.float32(3)},
        primary="x",
        trackers=[JsonLines(tmp_path / "log.jsonl")],
    )
    assert trainer.run().best_score == 3
    assert load_newest(tmp_path, pytest.fail)[1]["best"] == [3.0, 2]


def test_clipping_bounds_the_gradient():
    norms: list[float] = []
    for clip in (0.0, 1e-3):
        trainer = Trainer(
            Plain(tiny.student()), tiny.source(), TrainingOptions(num_steps=1, clip_norm=clip)
        )
        trainer.run()
        norms.append(
            float(
                torch.cat(
                    [p.grad.flatten() for p in trainer.student.parameters() if p.grad is not None]
                ).norm()
            )
        )
    assert norms[0] > 0.01
    assert norms[1] == pytest.approx(1e-3, rel=1e-3)
