"""Two views at the cut Z."""

from __future__ import annotations

import pytest
import torch

from ibsd.distillation import IBSD, Plain
from ibsd.distillation.objective import Objective
from ibsd.distillation.view_alignment import ViewAlignment, mismatched
from ibsd.students import create_student
from ibsd.types import Batch, InputError, Origin


def student(name: str = "imdn"):
    torch.manual_seed(0)
    return create_student(name, 2, width=8, num_blocks=3)


def batch(rows: int = 4, num_views: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    hr = torch.rand((rows // num_views, 3, 16, 16), generator=generator)
    lr = torch.rand((rows, 3, 8, 8), generator=generator)
    origin = Origin(*(torch.zeros(rows, dtype=torch.int64) for _ in range(4)))
    return Batch(lr, hr.repeat(num_views, 1, 1, 1), origin, num_views)


def test_sr_depends_on_nothing_but_the_cut() -> None:
    """The law of Z: what follows it takes nothing else of the body."""
    imdn = student()
    (sr, _), cut = imdn.trace_with_cut(batch().lr)
    assert torch.equal(imdn.upsampler(cut), sr)


@pytest.mark.parametrize("measure", ["bound", "statistics"])
def test_the_term_has_its_share_of_the_gradient(measure: str) -> None:
    objective = ViewAlignment(
        student(), share=0.3, measure=measure, warm_up=0, ramp=0, lambda_views=1e-3
    )
    objective.begin_step(0, 10)
    report = objective.loss(batch())
    objective.auxiliary_step(report.nodes)
    assert objective.diagnostics(batch())["gradient_share/views"] == pytest.approx(0.3, rel=0.01)


def test_equal_views_leave_only_the_spread_to_learn() -> None:
    objective = ViewAlignment(student(), warm_up=0, ramp=0, share=0, lambda_views=1.0)
    views = batch()
    same = views._replace(lr=views.lr[:2].repeat(2, 1, 1, 1))
    objective.begin_step(0, 1)
    report = objective.loss(same)
    before = float(objective.auxiliary_step(report.nodes)["nll"])
    for _ in range(20):
        after = float(objective.auxiliary_step(report.nodes)["nll"])
    assert after < before


def test_without_weights_it_is_plain() -> None:
    ours = ViewAlignment(student(), lambda_views=0.0)
    ours.begin_step(0, 1)
    assert torch.equal(ours.loss(batch()).total, Plain(student()).loss(batch()).total)


@pytest.mark.parametrize(
    "objective",
    [
        lambda s: ViewAlignment(s, warm_up=0, ramp=0),
        lambda s: IBSD(s, negatives="views", warm_up=0, ramp=0, lambda_hf=0),
    ],
    ids=["view-alignment", "ibsd"],
)
def test_one_view_is_refused_in_a_sentence(objective) -> None:
    ours: Objective = objective(student())
    ours.begin_step(0, 10)
    with pytest.raises(InputError, match=r"data\.views = 2"):
        ours.loss(batch(num_views=1))


def test_ibsd_at_the_cut_has_one_link_and_trains_its_estimator() -> None:
    objective = IBSD(
        student(), nodes="cut", pool=0, negatives="views", share=0.1, warm_up=0, ramp=0
    )
    objective.soft_target.final_share = 0
    objective.begin_step(0, 10)
    report = objective.loss(batch())
    assert len(report.nodes) == 2
    report.total.backward()
    assert "nll" in objective.auxiliary_step(report.nodes)
    assert objective.diagnostics(batch())["gradient_share/bound"] == pytest.approx(0.1, rel=0.05)


@pytest.mark.slow
def test_shuffled_pairs_cannot_be_learnt() -> None:
    """Estimators of true pairs explain them; those of shuffled pairs find nothing to explain."""
    bounds = {}
    for shuffled in (False, True):
        objective = IBSD(
            student(), shuffled=shuffled, pool=0, inner_steps=30, lambda_hf=0, warm_up=0, ramp=0
        )
        generator = torch.Generator().manual_seed(2)
        for _ in range(4):
            lr = torch.rand((8, 3, 8, 8), generator=generator)
            with torch.no_grad():
                nodes = objective.traced(batch()._replace(lr=lr))[1]
            objective.auxiliary_step(objective.view(nodes, lr))
        maps = objective.view(objective.traced(batch()._replace(lr=lr))[1], lr)
        bounds[shuffled] = float(objective.penalty(maps).detach())
    assert bounds[False] > 3 * abs(bounds[True])


def test_shuffled_views_are_of_other_photographs() -> None:
    """Same views of photographs that differ: matched they are equal, shuffled they are not, and
    each row still is some row of its own view."""
    z = torch.arange(3.0).repeat(2).view(6, 1, 1, 1)
    first, second = mismatched(z, 2).chunk(2)
    assert torch.equal(first, z[:3])
    assert not (first == second).any()
    assert torch.equal(second.sort(0).values, z[3:])
    assert torch.equal(mismatched(z, 1), z)
    with pytest.raises(InputError, match="2 photographs"):
        mismatched(z[:2], 2)
    objective = ViewAlignment(
        student(), shuffled=True, share=0, lambda_views=1.0, warm_up=0, ramp=0
    )
    views = batch()
    same = views._replace(lr=views.lr[:2].repeat(2, 1, 1, 1))
    objective.begin_step(0, 1)
    plain = ViewAlignment(student(), share=0, lambda_views=1.0, warm_up=0, ramp=0)
    plain.begin_step(0, 1)
    assert objective.loss(same).terms["views"] > plain.loss(same).terms["views"]
