"""The soft target: its schedule, its three sources of the past, and that they agree where they
must."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.data.image_stack import augment
from ibsd.data.patches import PatchSource
from ibsd.distillation import SoftTarget, soft_target
from ibsd.students import Student
from ibsd.students.ema import WeightAverage
from ibsd.types import Batch, InputError, Origin

SOURCES = ("snapshot", "ema", "bank")


def disturb(student: Student) -> None:
    """As an update would."""
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(1.05).add_(0.01)


def started(
    name: str, student: Student, patches: PatchSource, period: int = 3, num_steps: int = 12
) -> SoftTarget:
    """A soft target past its first period, whose student has moved on since."""
    target = SoftTarget(student, name, final_share=0.6, period=period)
    target.prepare(patches)
    for step in range(period + 1):
        target.begin_step(step, num_steps)
        disturb(student)
        target.end_step()
    return target


def output(student: Student, lr: Tensor) -> Tensor:
    with torch.no_grad():
        return student(lr)


def origin(image: int, top: int, left: int, augmentation: int) -> Origin:
    return Origin(*(torch.tensor([value]) for value in (image, top, left, augmentation)))


@pytest.mark.parametrize("name", SOURCES)
def test_share_follows_the_schedule(name: str):
    student, patches = tiny.student(), tiny.source()
    target = SoftTarget(student, name, final_share=0.8, period=4)
    target.prepare(patches)
    for step in range(24):
        target.begin_step(step, 20)
        due = 0.8 * min(step / 20, 1) if step >= 4 else 0
        assert target.share == pytest.approx(due, rel=1e-12)
        assert (target.past is None) == (step < 4)
        target.end_step()


@pytest.mark.parametrize("name", SOURCES)
def test_target_is_hr_itself_until_the_first_period_ends(name: str):
    student, patches = tiny.student(), tiny.source()
    target = SoftTarget(student, name, final_share=0.8, period=5)
    target.prepare(patches)
    for step in range(5):
        target.begin_step(step, 20)
        batch = patches.next_batch()
        assert target.past_output(batch) is None
        assert torch.equal(target(batch), batch.hr)
        disturb(student)
        target.end_step()


@pytest.mark.parametrize("name", SOURCES)
def test_target_mixes_hr_and_the_past_and_carries_no_graph(name: str):
    student, patches = tiny.student(), tiny.source()
    target, batch = started(name, student, patches), patches.next_batch()
    past = target.past_output(batch)
    assert past.shape == batch.hr.shape
    assert not target(batch).requires_grad
    assert target.share == pytest.approx(0.6 * 3 / 12)
    torch.testing.assert_close(target(batch), (1 - target.share) * batch.hr + target.share * past)
    assert float((past - batch.hr).abs().mean()) > 0.01  # else the mixture above says nothing


def test_snapshot_stands_still_within_a_period_and_moves_at_its_end():
    student, patches = tiny.student(), tiny.source()
    target, batch = SoftTarget(student, "snapshot", 0.8, period=3), patches.next_batch()
    at_end = None
    for step in range(10):
        if step % 3 == 0:
            at_end = output(student, batch.lr)
        target.begin_step(step, 10)
        disturb(student)
        if step >= 3:
            assert torch.equal(target.past_output(batch), at_end)
            assert not torch.equal(output(student, batch.lr), at_end)


def test_bank_follows_its_periods_too():
    student, patches = tiny.student(), tiny.source()
    bank, snapshot = (
        SoftTarget(student, "bank", 0.8, period=2),
        SoftTarget(student, "snapshot", 0.8, period=2),
    )
    bank.prepare(patches)
    image = patches.lr.image(0)
    for step in range(7):
        for target in (bank, snapshot):
            target.begin_step(step, 10)
        disturb(student)
        if step >= 2:
            batch = patches.cut(origin(0, 1, 2, 0))
            whole = output(snapshot.past, image)
            torch.testing.assert_close(
                bank.past_output(batch), whole[..., 2:18, 4:20], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("scale", [2, 3])
def test_bank_equals_snapshot_on_whole_unaugmented_images(scale: int):
    student = tiny.student(scale=scale)
    patches = tiny.source(scale, patch_px=9, batch_size=4, sizes=((9, 9),) * 3, augment=False)
    bank, snapshot = (
        started(name, tiny.student(scale=scale), patches) for name in ("bank", "snapshot")
    )
    for _ in range(3):
        batch = patches.next_batch()
        torch.testing.assert_close(bank(batch), snapshot(batch), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(bank(batch), output(student, batch.lr), atol=1e-3)


@pytest.mark.parametrize("augmentation", range(8))
def test_bank_gives_the_same_crop_and_augmentation_of_the_whole_output(augmentation: int):
    student, patches = tiny.student(), tiny.source(patch_px=6)
    target = started("bank", student, patches)
    for index, (top, left) in ((0, (5, 8)), (1, (0, 3)), (2, (10, 0))):
        batch = patches.cut(origin(index, top, left, augmentation))
        whole = output(target.past, patches.lr.image(index))
        expected = augment(
            whole[..., 2 * top : 2 * top + 12, 2 * left : 2 * left + 12], augmentation
        )
        torch.testing.assert_close(target.past_output(batch), expected, rtol=1e-5, atol=1e-6)
        lr = augment(patches.lr.image(index)[..., top : top + 6, left : left + 6], augmentation)
        assert torch.equal(batch.lr, lr)  # the target belongs to the patch that the student sees


def test_ema_gives_the_running_averages_output():
    student, patches = tiny.student(), tiny.source()
    target = SoftTarget(student, "ema", 0.8, period=3, decay=0.9)
    twin, batch = WeightAverage(student, 0.9), patches.next_batch()
    for step in range(7):
        target.begin_step(step, 10)
        if step >= 3:
            assert torch.equal(target.past_output(batch), output(twin.student, batch.lr))
            assert not torch.equal(target.past_output(batch), output(student, batch.lr))
        disturb(student)
        twin.update(student)
        target.end_step()


@pytest.mark.parametrize("name", SOURCES)
def test_the_student_is_left_alone(name: str):
    student, patches = tiny.student(), tiny.source()
    target = started(name, student, patches)
    before = {key: value.clone() for key, value in student.state_dict().items()}
    target.begin_step(6, 12)
    target(patches.next_batch())
    target.end_step()
    assert student.training
    assert all(torch.equal(value, before[key]) for key, value in student.state_dict().items())
    assert all(
        parameter.grad is None and parameter.requires_grad for parameter in student.parameters()
    )


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.slow
def test_state_brings_back_the_same_targets(name: str, steps: int):
    student, patches = tiny.student(), tiny.source()
    target = SoftTarget(student, name, 0.8, period=3)
    target.prepare(patches)
    for step in range(steps):
        target.begin_step(step, 10)
        disturb(student)
        target.end_step()
    again = SoftTarget(student, name, 0.8, period=3)
    again.prepare(patches)
    again.load_state(target.state())
    for step in range(steps, 8):
        batch = patches.next_batch()
        for each in (target, again):
            each.begin_step(step, 10)
        assert torch.equal(target(batch), again(batch))
        disturb(student)
        for each in (target, again):
            each.end_step()


def test_without_a_share_of_the_past_nothing_is_kept_or_computed():
    student, patches = tiny.student(), tiny.source()
    target = SoftTarget(student, "snapshot", final_share=0.0, period=1)
    for step in range(4):
        target.begin_step(step, 4)
        target.end_step()
    batch = patches.next_batch()
    assert target.past is None
    assert torch.equal(target(batch), batch.hr)


@pytest.mark.parametrize(
    "options",
    [
        {"source": "bnak"},
        {"final_share": -0.1},
        {"final_share": 1.1},
        {"final_share": float("nan")},
        {"period": 0},
    ],
)
def test_wrong_options_are_refused(options: dict):
    with pytest.raises(InputError, match="soft target"):
        SoftTarget(tiny.student(), **{"source": "bank", "final_share": 0.8, "period": 5} | options)


def test_bank_holds_no_more_than_it_says():
    """The bank is read where the patches are cut, so its offsets must be those of HR pictures, one
    after the other."""
    student, patches = tiny.student(scale=3), tiny.source(scale=3)
    target = started("bank", student, patches)
    target(Batch(*patches.next_batch()))
    assert target.bank.sizes == patches.hr.sizes
    assert target.bank.flat.numel() == patches.hr.flat.numel()


def test_a_bank_that_does_not_fit_is_refused_with_advice(monkeypatch):
    patches = tiny.source()
    monkeypatch.setattr(
        soft_target, "free_memory_bytes", lambda device: 4 * patches.hr.flat.numel() - 1
    )
    target = started("bank", tiny.student(), patches)
    with pytest.raises(InputError, match="'snapshot'"):
        target(patches.next_batch())
    monkeypatch.setattr(
        soft_target, "free_memory_bytes", lambda device: 4 * patches.hr.flat.numel()
    )
    assert target(patches.next_batch()).isfinite().all()
