"""The first losses of every objective on one student, and of IBSD on every student, equal committed
figures.

Stored runs of comparisons are found by `ibsd.types.NUMERICS`. So whoever moves a figure must raise
a number there, and this test notices when that was forgotten. It holds for other processors too:
the figures move there by less than the tolerance.

After raising a number, write the figures again and commit them:

    python tests/test_numerics.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from ibsd.config.parsing import parameters_of
from ibsd.data.patches import PatchSource
from ibsd.distillation.registry import OBJECTIVES, declared_options
from ibsd.metrics import score
from ibsd.students import STUDENTS
from ibsd.training import Trainer, TrainingOptions
from ibsd.types import NUMERICS

COMMITTED = Path(__file__).with_suffix(".json")
NUM_STEPS = 5
TOLERANCE = 1e-5
SHORT = {"warm_up": 1, "ramp": 2, "period": 2}
"""Schedules so short that every term has weight within five steps."""

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in OBJECTIVES if name != "specialise"},  # IBSD of other lengths
    "ibsd published": ("ibsd", {"reduction": "published", "pool": 0, "soft_target": "snapshot"}),
    "ibsd hr": ("ibsd", {"given": "hr", "normalise": True, "negatives": "others"}),
    "ibsd views": (
        "ibsd",
        {"nodes": "cut", "pool": 0, "share": 0.1, "soft_target": "start", "shuffled": True},
    ),
    "regularised all": ("regularised", {"dropout": 0.5, "lambda_start": 1.0}),
    "ibsd degradation": ("ibsd", {"given": "degradation", "soft_target": "ema"}),
}
"""Objectives and their options."""


def cases() -> list[tuple[str, str]]:
    """(student, objective). An objective sees of a student its trace alone, and IBSD takes all of
    it. CDC's own losses want the components of its network."""
    first = next(iter(STUDENTS))
    every = [(first, variant) for variant in VARIANTS if variant != "cdc"]
    return [*every, ("cdc", "cdc"), *((name, "ibsd") for name in STUDENTS if name != first)]


def patches(objective: str) -> PatchSource:
    """Two patches a batch, the fewest that a bound takes. LPIPS needs 31 HR pixels."""
    if objective == "perceptual":
        return tiny.source(batch_size=2, patch_px=16, sizes=((17, 16), (16, 20)))
    return tiny.source(batch_size=2, views=2 if objective == "view-alignment" else 1)


def first_losses(student: str, variant: str) -> list[float]:
    """The student's weighted loss at each step, with all parts at work in between."""
    name, options = VARIANTS[variant]
    parameters = parameters_of(declared_options(OBJECTIVES[name]))
    short = {key: value for key, value in SHORT.items() if key in parameters}
    objective = OBJECTIVES[name](tiny.small(student), **short | options)
    losses: list[float] = []
    weigh = objective.loss

    def noted(batch):  # the trainer's own report holds the terms without their weights
        report = weigh(batch)
        losses.append(float(report.total.detach()))
        return report

    objective.loss = noted
    Trainer(
        objective,
        patches(name),
        TrainingOptions(
            num_steps=NUM_STEPS,
            learning_rate=1e-4,
            log_every=0,
            diagnostics_every=0,
            validate_every=0,
            checkpoint_every=0,
        ),
    ).run()
    return losses


def scores() -> dict[str, float]:
    """Every metric of one pair of pictures."""
    batch = tiny.source(patch_px=16, batch_size=2, sizes=((17, 16), (16, 20))).next_batch()
    lr = batch.lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    return {
        f"{protocol} {metric}": value
        for protocol, metrics in score(lr, batch.hr, 2).items()
        for metric, value in metrics.items()
    }


def figures() -> dict[str, Any]:
    """All that is committed, computed now."""
    losses = {
        f"{student}, {variant}": first_losses(student, variant) for student, variant in cases()
    }
    return {"numerics": NUMERICS, "losses": losses, "scores": scores()}


def advice(moved: list[str]) -> str:
    return (
        f"figures moved: {'; '.join(moved)}. Either mend the change, or raise NUMERICS in "
        f"src/ibsd/types.py for the concept that moved ({', '.join(NUMERICS)}), run "
        "`python tests/test_numerics.py` and commit the new figures"
    )


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    return json.loads(COMMITTED.read_text())


def quick_first(case: tuple[str, str]) -> Any:
    """`make check` has every objective on the first student, and IBSD on two more."""
    quick = case[0] == next(iter(STUDENTS)) or case[0] in ("rfdn", "span")
    return pytest.param(*case, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("student", "variant"), [*map(quick_first, cases())])
def test_the_first_losses_are_the_committed_ones(
    committed: dict[str, Any], student: str, variant: str
) -> None:
    expected = committed["losses"][f"{student}, {variant}"]
    losses = first_losses(student, variant)
    if losses != pytest.approx(expected, rel=TOLERANCE):
        pytest.fail(advice([f"{student}, {variant}: {losses} and not {expected}"]))


def test_the_scores_are_the_committed_ones(committed: dict[str, Any]) -> None:
    found = scores()
    if found != pytest.approx(committed["scores"], rel=TOLERANCE):
        pytest.fail(advice([f"metrics: {found} and not {committed['scores']}"]))


def test_the_figures_are_those_of_these_numerics(committed: dict[str, Any]) -> None:
    assert committed["numerics"] == NUMERICS, "run `python tests/test_numerics.py` and commit"
    assert set(committed["losses"]) == {f"{student}, {variant}" for student, variant in cases()}


def test_each_step_of_each_case_is_a_different_finite_loss(committed: dict[str, Any]) -> None:
    """A case whose loss never moves would guard nothing."""
    for name, losses in committed["losses"].items():
        assert len(set(losses)) == NUM_STEPS, name
        assert torch.isfinite(torch.tensor(losses)).all(), name


if __name__ == "__main__":
    torch.set_num_threads(1)
    COMMITTED.write_text(json.dumps(figures(), indent=1) + "\n")
