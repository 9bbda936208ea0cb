"""Laws of the EMA teacher: without weight it is plain training; it averages as said; views are
turned back exactly."""

from __future__ import annotations

import pytest
import torch

import tiny
from distillation.short_run import NUM_STEPS, is_plain
from ibsd.data.image_stack import augment
from ibsd.distillation.ema_teacher import EMATeacher, turned_back
from ibsd.types import InputError


@pytest.mark.slow
def test_without_weight_it_is_plain_bit_for_bit() -> None:
    assert is_plain(EMATeacher(tiny.student(), lambda_teacher=0.0))
    assert is_plain(EMATeacher(tiny.student(), warm_up=NUM_STEPS))
    assert not is_plain(EMATeacher(tiny.student(), warm_up=2, ramp=2))


def test_teacher_is_the_running_average_and_gets_no_gradient() -> None:
    objective = EMATeacher(
        tiny.student(), decay=0.05, warm_up=0, ramp=0
    )  # below the bound of the first updates, 1/10
    start = tiny.student().state_dict()
    with torch.no_grad():
        for parameter in objective.student.parameters():
            parameter.add_(1.0)
    objective.end_step()
    for name, value in objective.teacher.student.state_dict().items():
        torch.testing.assert_close(value, start[name] + 0.95)
    objective.begin_step(0, 10)
    objective.loss(tiny.source().next_batch()).total.backward()
    assert all(parameter.grad is None for parameter in objective.teacher.student.parameters())
    assert all(parameter.grad is not None for parameter in objective.student.parameters())


@pytest.mark.parametrize("orientation", range(8))
def test_an_orientation_is_turned_back(orientation: int) -> None:
    image = torch.rand(2, 3, 4, 6)
    assert torch.equal(turned_back(augment(image, orientation), orientation), image)


def test_views_differ_only_if_turned() -> None:
    batch = tiny.source().next_batch()
    for turned in (False, True):
        objective = EMATeacher(tiny.student(), warm_up=0, ramp=0, turned=turned)
        orientations = set()
        for step in range(40):
            objective.begin_step(step, 40)
            orientations.add(objective.orientation)
        assert orientations == (set(range(1, 8)) if turned else {0})
        distance = float(
            objective.loss(batch).terms["teacher"]
        )  # at the start the teacher is the student
        assert (distance > 1e-4) if turned else (distance == 0)


def test_refuses_negative_weights_and_a_decay_of_one() -> None:
    for options in ({"lambda_teacher": -1.0}, {"decay": 1.0}, {"lambda_teacher": float("nan")}):
        with pytest.raises(InputError, match="ema-teacher"):
            EMATeacher(tiny.student(), **options)
