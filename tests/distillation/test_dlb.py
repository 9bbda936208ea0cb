"""Laws of DLB: half of a batch is the last one's, what it is compared with is what the student gave
then, and it is marked unpaired."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.distillation.dlb import DLB
from ibsd.training.options import TrainingOptions
from ibsd.training.trainer import Trainer
from ibsd.types import InputError


def watched(objective: DLB, num_steps: int = 5) -> list[tuple[Tensor, Tensor]]:
    """(input, output) of the student at every step of a training."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = objective.student.register_forward_hook(
        lambda module, args, output: seen.append((args[0].clone(), output.detach().clone()))
    )
    trainer = Trainer(
        objective,
        tiny.source(batch_size=4),
        TrainingOptions(
            num_steps=num_steps,
            learning_rate=1e-2,
            diagnostics_every=0,
            checkpoint_every=0,
            validate_every=0,
        ),
    )
    trainer.run()
    handle.remove()
    return seen


def test_second_half_is_the_first_half_of_the_batch_before() -> None:
    objective = DLB(tiny.student())
    seen, plain_source = watched(objective), tiny.source(batch_size=4)
    assert not objective.paired
    drawn = [plain_source.next_batch() for _ in seen]
    assert torch.equal(seen[0][0], drawn[0].lr)
    for k in range(1, len(seen)):
        assert torch.equal(seen[k][0][:2], drawn[k].lr[:2])
        assert torch.equal(seen[k][0][2:], seen[k - 1][0][:2])


def test_terms_by_hand() -> None:
    objective, source = DLB(tiny.student(), alpha=0.5), tiny.source(batch_size=4)
    first, second = source.next_batch(), source.next_batch()
    objective.begin_step(0, 2)
    report = objective.loss(first)
    assert set(report.terms) == {"l1"}
    objective.end_step()
    before = objective.student(first.lr).detach()
    with torch.no_grad():
        for parameter in objective.student.parameters():
            parameter.mul_(1.1)
    objective.begin_step(1, 2)
    report = objective.loss(second)
    sr = objective.student(torch.cat((second.lr[:2], first.lr[:2])))
    torch.testing.assert_close(
        report.terms["l1"], (sr - torch.cat((second.hr[:2], first.hr[:2]))).abs().mean().detach()
    )
    torch.testing.assert_close(report.terms["last"], (sr[2:] - before[:2]).abs().mean().detach())
    torch.testing.assert_close(
        report.total.detach(), report.terms["l1"] + 0.5 * report.terms["last"]
    )


def test_a_still_student_gives_what_it_gave_whatever_the_sizes_of_its_batches() -> None:
    objective = DLB(tiny.student().eval())
    for step, size in enumerate((2, 4, 8, 2)):
        objective.begin_step(step, 4)
        report = objective.loss(tiny.source(batch_size=size).next_batch())
        assert report.terms.get("last", torch.zeros(())) < 1e-6
        objective.end_step()


def test_figures_of_a_batch_do_not_become_its_past() -> None:
    objective, source = DLB(tiny.student()), tiny.source(batch_size=4)
    objective.begin_step(0, 1)
    objective.loss(source.next_batch())
    objective.end_step()
    kept = objective.kept
    figures = objective.diagnostics(source.next_batch())
    assert objective.kept is kept
    assert figures.keys() == {"gradient_share/last", "gradient_cosine/last"}


def test_refuses_odd_batches_and_negative_weights() -> None:
    alone = DLB(tiny.student())
    alone.begin_step(0, 1)
    with pytest.raises(InputError, match="at least 2"):
        alone.loss(tiny.source(batch_size=1).next_batch())
    with pytest.raises(InputError, match="even"):
        DLB(tiny.student()).prepare(tiny.source(batch_size=3))
    with pytest.raises(InputError, match="alpha"):
        DLB(tiny.student(), alpha=-1)
