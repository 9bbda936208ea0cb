"""The running average of weights: its closed form, and that it stays apart from the student."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from ibsd.students.ema import WeightAverage, frozen_copy, mixed


def set_all(student: torch.nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.fill_(value)


@pytest.mark.slow
@settings(max_examples=12)
@given(decay=st.floats(0, 0.9999), values=st.lists(st.floats(-4, 4), min_size=1, max_size=30))
def test_decay_law(decay: float, values: list[float]):
    student = tiny.student(width=4).double()
    set_all(student, 1.0)
    average, expected = WeightAverage(student, decay), 1.0
    for t, value in enumerate(values):
        set_all(student, value)
        average.update(student)
        share = min(decay, (1 + t) / (10 + t))
        expected = share * expected + (1 - share) * value
    for parameter in average.student.parameters():
        torch.testing.assert_close(
            parameter, torch.full_like(parameter, expected), rtol=1e-10, atol=1e-10
        )


def test_a_constant_student_is_its_own_average():
    student = tiny.student()
    average = WeightAverage(student, 0.999)
    for _ in range(50):
        average.update(student)
    for ours, theirs in zip(average.student.parameters(), student.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_without_decay_it_follows_and_with_much_it_still_forgets_the_start():
    student, other = tiny.student(seed=0), tiny.student(seed=1)
    follower, slow = WeightAverage(student, 0.0), WeightAverage(student, 0.9999)
    for _ in range(200):
        follower.update(other)
        slow.update(other)
    start, end, reached = (x.c[0].weight.detach() for x in (student, other, slow.student))
    assert torch.equal(follower.student.c[0].weight, end)
    assert float((reached - end).norm()) < 1e-3 * float((start - end).norm())


def test_it_never_shares_memory_with_the_student_nor_asks_for_gradients():
    student = tiny.student()
    average = WeightAverage(student, 0.5)
    before = {key: value.clone() for key, value in average.student.state_dict().items()}
    set_all(student, 7.0)
    assert all(
        torch.equal(value, before[key]) for key, value in average.student.state_dict().items()
    )
    assert not any(parameter.requires_grad for parameter in average.student.parameters())
    assert not average.student.training
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert student.training


@pytest.mark.parametrize("updates", [0, 3])
def test_state_brings_the_same_future(updates: int):
    student, other = tiny.student(seed=0), tiny.student(seed=1)
    first, second = WeightAverage(student, 0.9), WeightAverage(other, 0.9)
    for _ in range(updates):
        first.update(other)
    second.load_state(
        {
            "weights": {k: v.clone() for k, v in first.state()["weights"].items()},
            "updates": first.state()["updates"],
        }
    )
    for average in (first, second):
        average.update(other)
    for ours, theirs in zip(first.student.parameters(), second.student.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_frozen_copy_leaves_the_original_trainable():
    student = tiny.student()
    copy = frozen_copy(student)
    assert student.training
    assert all(parameter.requires_grad for parameter in student.parameters())
    assert copy.spec == student.spec
    assert torch.equal(copy(torch.ones(1, 3, 4, 4)), student(torch.ones(1, 3, 4, 4)))


def test_a_uniform_average_is_the_plain_mean() -> None:
    student = tiny.student()
    average = WeightAverage(student, 0.999, uniform=True)
    seen = []
    for value in (1.0, 2.0, 6.0):
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.fill_(value)
        average.update(student)
        seen.append(value)
        mean = sum(seen) / len(seen)
        for parameter in average.student.parameters():
            assert torch.allclose(parameter, torch.full_like(parameter, mean))


def test_mixed_weights_lie_on_the_line_between_both() -> None:
    start, end = tiny.student(0), tiny.student(1)
    middle = mixed(start, end, 0.25)
    for a, b, c in zip(start.parameters(), end.parameters(), middle.parameters(), strict=True):
        assert torch.allclose(c, 0.25 * a + 0.75 * b, atol=1e-7)
        assert not c.requires_grad
    assert all(
        torch.equal(x, y)
        for x, y in zip(mixed(start, end, 0.0).parameters(), end.parameters(), strict=True)
    )
