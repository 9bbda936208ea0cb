"""The loop of one's own: the trainer's updates, and sentences where the order is broken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from ibsd.config.parsing import parameters_of
from ibsd.distillation import IBSD, Loop, Objective, Plain
from ibsd.distillation.registry import OBJECTIVES, declared_options
from ibsd.training import Schedule, Trainer, TrainingOptions
from ibsd.types import Batch, InputError

ROOT = Path(__file__).parents[2]
OPTIONS: dict[str, Any] = {"lambda_mi": 0.01, "warm_up": 3, "ramp": 4, "period": 5}


def loop(objective: Objective, num_steps: int = 12) -> Loop:
    optimizer = torch.optim.Adam(objective.student.parameters(), lr=1e-3)
    return Loop(objective, optimizer, num_steps)


@pytest.mark.slow
def test_its_weights_are_the_trainers_bit_for_bit() -> None:
    theirs = IBSD(tiny.student(), soft_target="snapshot", **OPTIONS)
    options = TrainingOptions(num_steps=12, learning_rate=1e-3, schedule=Schedule("constant"))
    Trainer(theirs, tiny.source(), options).run()
    ours, source = IBSD(tiny.student(), **OPTIONS), tiny.source()
    steps = loop(ours)
    for _ in range(12):
        batch = source.next_batch()
        report = steps.update(batch.lr, batch.hr)
    for own, other in ((ours.student, theirs.student), (ours.chain, theirs.chain)):
        for x, y in zip(own.parameters(), other.parameters(), strict=True):
            assert torch.equal(x, y)
    assert set(report.terms) == {"l1", "bound", "wavelet", "nll"}
    assert not report.total.requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/start-library.md"])
def test_the_code_of_the_pages_is_ibsd(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm-up, ramp and a past happen in every loop that a page shows."""
    objectives: dict[IBSD, list[tuple[float, bool, float]]] = {}
    end_step = IBSD.end_step

    def noted(self: IBSD) -> None:
        past = self.soft_target.past is not None
        objectives.setdefault(self, []).append(
            (self.weights["bound"] / self.options.lambda_mi, past, self.soft_target.share)
        )
        end_step(self)

    monkeypatch.setattr(IBSD, "end_step", noted)
    text = (ROOT / page).read_text(encoding="utf-8")
    code = "".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    names: dict[str, Any] = {}
    if page == "README.md":  # takes a loader for granted, and shows the defaults
        code = code.replace('"imdn", scale=4)', '"imdn", scale=4, width=8, num_blocks=3)')
        code = code.replace("IBSD(student)", "IBSD(student, warm_up=2, ramp=4, period=3)")
        names["loader"] = [(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32))] * 9
    exec(code, names)
    assert objectives
    for history in objectives.values():
        weights, pasts, shares = zip(*history, strict=True)
        assert weights[0] == 0 and weights[-1] == 1
        assert any(0 < weight < 1 for weight in weights)
        assert not pasts[0] and pasts[-1]
        assert shares[-1] > 0


# -- the order broken


SCHEDULED = [name for name, objective in OBJECTIVES.items() if objective.scheduled]


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_loss_before_begin_step_is_refused(name: str) -> None:
    objective, batch = OBJECTIVES[name](tiny.student()), tiny.source(batch_size=4).next_batch()
    with pytest.raises(InputError, match="before begin_step"):
        objective.loss(batch)
    objective.begin_step(0, 10)
    objective.loss(batch)
    objective.end_step()
    with pytest.raises(InputError, match="before begin_step"):
        objective.loss(batch)


@pytest.mark.parametrize("name", SCHEDULED)
def test_an_update_that_was_not_ended_is_named(name: str) -> None:
    objective, batch = OBJECTIVES[name](tiny.student()), tiny.source(batch_size=4).next_batch()
    objective.begin_step(3, 10)
    objective.loss(batch)
    objective.begin_step(3, 10)  # once more after an interruption
    objective.loss(batch)
    with pytest.raises(InputError, match="update 3 was not ended"):
        objective.begin_step(4, 10)


def test_scheduled_objectives_are_those_with_a_schedule() -> None:
    for name, objective in OBJECTIVES.items():
        overrides = {"begin_step", "end_step"} & vars(objective).keys()
        has_past = "soft_target" in parameters_of(declared_options(objective))
        assert objective.scheduled == (bool(overrides) or has_past), name


def test_more_updates_than_promised_are_refused() -> None:
    steps, batch = loop(Plain(tiny.student()), 1), tiny.source().next_batch()
    steps.update(batch.lr, batch.hr)
    with pytest.raises(InputError, match="all 1 updates are made"):
        steps.update(batch.lr, batch.hr)
    with pytest.raises(InputError, match="num_steps is 0"):
        loop(Plain(tiny.student()), 0)


def test_tensors_that_do_not_fit_are_named() -> None:
    steps = loop(Plain(tiny.student()))
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    for wrong_lr, wrong_hr, words in (
        (lr, (255 * hr).byte(), "hr is torch.uint8"),
        ((255 * lr).byte(), hr, "uint8"),
        (lr, hr[:1], r"they must be \[N, 3, 2h, 2w\]"),
        (lr[0], hr[0], r"they must be \[N, 3, 2h, 2w\]"),
        (lr[:0], hr[:0], r"they must be \[N, 3, 2h, 2w\]"),
    ):
        with pytest.raises(InputError, match=words):
            steps.update(wrong_lr, wrong_hr)
        assert steps.step == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_students_and_batches_of_another_precision_train(dtype: torch.dtype) -> None:
    objective = IBSD(tiny.student().to(dtype), warm_up=0, ramp=0, period=1, soft_target="snapshot")
    steps, batch = loop(objective), tiny.source(batch_size=4).next_batch()
    for _ in range(3):
        terms = steps.update(batch.lr.to(dtype), batch.hr.to(dtype)).terms
    assert {"bound", "wavelet", "nll"} < terms.keys()
    assert all(value.isfinite() for value in terms.values())


@pytest.mark.parametrize("name", ["dlb", "ibsd"])
def test_batches_need_no_origin(name: str) -> None:
    objective = OBJECTIVES[name](tiny.student())
    steps, batch = loop(objective), tiny.source(batch_size=4).next_batch()
    for _ in range(2):
        steps.update(batch.lr, batch.hr)
    again = OBJECTIVES[name](tiny.student())
    again.load_state(objective.state())
    again.begin_step(2, 12)
    objective.begin_step(2, 12)
    again.student.load_state_dict(objective.student.state_dict())
    plain = Batch(batch.lr, batch.hr)
    assert torch.equal(again.loss(plain).total, objective.loss(plain).total)


def test_a_batch_of_one_is_refused_at_the_first_update() -> None:
    lr, hr = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)
    with pytest.raises(InputError, match="raise data.batch_size"):
        loop(IBSD(tiny.student())).update(lr, hr)
    loop(IBSD(tiny.student(), lambda_mi=0)).update(lr, hr)
