"""Laws that every objective in the registry keeps. A new one joins by its line there."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open

import tiny
from ibsd.comparison.pairing import layout_hash
from ibsd.config.parsing import parameters_of
from ibsd.distillation.objective import Objective
from ibsd.distillation.perceptual import Perceptual
from ibsd.distillation.registry import OBJECTIVES, declared_options
from ibsd.distillation.view_alignment import ViewAlignment
from ibsd.export.weights import save_student
from ibsd.students import Student, create_student
from ibsd.training.options import TrainingOptions
from ibsd.training.trainer import Trainer
from ibsd.types import InputError

SHORT = {"warm_up": 1, "ramp": 2, "period": 3}
"""Schedules, where an objective has them, so short that all its terms have weight within a few
steps."""
QUICK = ("plain", "ibsd")
"""What `make check` tries."""
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in OBJECTIVES]


def student_for(name: str) -> Student:
    """A narrow student that the objective takes: CDC's own losses want the components of its
    network."""
    if name != "cdc":
        return tiny.student()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create_student("cdc", 2, width=4, num_hourglasses=4)


def made(name: str, **options: object) -> Objective:
    parameters = parameters_of(declared_options(OBJECTIVES[name]))
    return OBJECTIVES[name](
        student_for(name),
        **{key: value for key, value in SHORT.items() if key in parameters} | options,
    )


def trainer(
    objective: Objective, folder: Path | None = None, num_steps: int = 6, **changes: Any
) -> Trainer:
    # LPIPS looks at no HR patch below 31 pixels.
    source = (
        tiny.source(batch_size=4, patch_px=16, sizes=((17, 16), (16, 20), (16, 16)))
        if isinstance(objective, Perceptual)
        else tiny.source(batch_size=4, views=2 if isinstance(objective, ViewAlignment) else 1)
    )
    options = TrainingOptions(
        num_steps=num_steps,
        learning_rate=1e-3,
        log_every=2,
        diagnostics_every=4,
        validate_every=0,
        checkpoint_every=0,
    )
    options = dataclasses.replace(options, **changes)
    return Trainer(objective, source, options, checkpoints=folder)


class Whole(NamedTuple):
    """A run in one piece, which tests share and do not change."""

    trainer: Trainer
    generator: tuple[torch.Tensor, torch.Tensor]
    """State of the global generator before and after."""


@cache
def whole(name: str) -> Whole:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run = trainer(made(name))
    run.run()
    return Whole(run, (before, torch.get_rng_state()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(name: str, tmp_path: Path) -> None:
    expected = whole(name).trainer
    first = trainer(made(name), tmp_path)
    first.stop_requested = lambda: "stopped" if first.step == 4 else None
    first.run()
    second = trainer(made(name), tmp_path)
    assert second.resume() and second.step == 4
    second.run()
    for ours, theirs in (
        (second.student, expected.student),
        (second.average.student, expected.average.student),
    ):
        for key, value in theirs.state_dict().items():
            assert torch.equal(value, ours.state_dict()[key]), key
    assert second.latest == expected.latest


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_its_diagnostics_are_finite_and_change_nothing(name: str) -> None:
    """At every step, against a run that has them at the fourth alone."""
    run = trainer(made(name), diagnostics_every=1)
    written: list[dict[str, float]] = []
    run.track = written.append
    run.run()
    assert written
    assert all(torch.isfinite(torch.tensor(list(figures.values()))).all() for figures in written)
    expected = whole(name).trainer.student.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in run.student.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_is_the_plain_network(name: str, tmp_path: Path) -> None:
    run = whole(name).trainer
    assert layout_hash(run.student.state_dict()) == layout_hash(student_for(name).state_dict())
    with safe_open(
        save_student(run.average.student, tmp_path / "student.safetensors"), framework="pt"
    ) as file:
        assert set(file.keys()) == set(student_for(name).state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_making_and_training_it_leaves_the_global_generator_alone(name: str) -> None:
    before, after = whole(name).generator
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_number_below_0_is_refused_at_once_and_named(name: str) -> None:
    for key, parameter in parameters_of(declared_options(OBJECTIVES[name])).items():
        if type(parameter.default) in (int, float) and key not in ("seed", "levels"):
            with pytest.raises(InputError, match=f"{key}.* -1"):
                made(name, **{key: -1})


@pytest.mark.parametrize("name", NAMES)
def test_bf16_trains_and_losses_are_fp32(name: str) -> None:
    run = trainer(made(name), num_steps=4, precision="bf16")
    assert run.run().finished and run.guard.skipped == 0
    run.objective.begin_step(4, 5)
    assert all(
        value.dtype == torch.float32
        for value in run.objective.loss(run.source.next_batch()).terms.values()
    )
