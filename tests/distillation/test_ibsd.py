"""IBSD against plain training: identical where its weights are zero, and gradients only where they
belong."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tiny
from ibsd.distillation import IBSD, Objective, Plain, wavelet_loss
from ibsd.distillation.diagnostics import flipped_share
from ibsd.students import create_student
from ibsd.training import Trainer, TrainingOptions
from ibsd.types import InputError


def gradients(module: nn.Module) -> list[Tensor | None]:
    return [
        None if parameter.grad is None else parameter.grad.clone()
        for parameter in module.parameters()
    ]


def weights(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def equal(ours: list, theirs: list) -> bool:
    return len(ours) == len(theirs) and all(
        x is y is None or torch.equal(x, y) for x, y in zip(ours, theirs, strict=True)
    )


def ready(**options) -> tuple[IBSD, object]:
    """An objective in the middle of a run: soft target started, full weight on the bound; and a
    batch."""
    student, source = tiny.student(), tiny.source(batch_size=4)
    objective = IBSD(
        student,
        **{
            "lambda_mi": 0.01,
            "lambda_hf": 0.05,
            "warm_up": 0,
            "ramp": 0,
            "period": 2,
            "soft_target": "snapshot",
            "pool": 0,
        }
        | options,
    )
    objective.prepare(source)
    objective.begin_step(2, 10)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(
                0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5))
            )
    return objective, source.next_batch()


# -- weights at zero


def trained(make, precision: str) -> tuple[Trainer, Objective]:
    objective = make(tiny.student())
    trainer = Trainer(
        objective,
        tiny.source(),
        TrainingOptions(
            num_steps=6,
            learning_rate=1e-3,
            precision=precision,
            clip_norm=1.0,
            diagnostics_every=4,
            log_every=5,
        ),
    )
    assert trainer.run().skipped == 0
    return trainer, objective


@cache
def plainly_trained(precision: str) -> Trainer:
    return trained(Plain, precision)[0]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "options",
    [
        {"inner_steps": 0},
        {"inner_steps": 2},
        {"soft_target": "ema"},
        {"soft_target": "bank", "pool": 3, "normalise": True},
        {"seed": 9, "negatives": "others"},
        {"given": "hr"},
    ],
)
def test_bit_identical_to_plain_with_both_weights_zero(precision: str, options: dict):
    plain = plainly_trained(precision)
    options = {
        "lambda_mi": 0,
        "lambda_hf": 0,
        "period": 3,
        "soft_target": "snapshot",
        "warm_up": 2,
    } | options
    ours, objective = trained(lambda student: IBSD(student, **options), precision)
    assert equal(weights(plain.student), weights(ours.student))
    assert equal(weights(plain.average.student), weights(ours.average.student))
    assert plain.source.digest == ours.source.digest
    moved = not equal(weights(IBSD(tiny.student(), **options).chain), weights(objective.chain))
    assert moved == (options.get("inner_steps") != 0)  # the estimators did learn, watching


@pytest.mark.slow
def test_with_weights_it_is_not_plain():
    plain = plainly_trained("fp32")
    for options in ({"lambda_mi": 1e-2, "lambda_hf": 0}, {"lambda_mi": 0, "lambda_hf": 0.02}):
        ours, _ = trained(
            lambda student, options=options: IBSD(student, warm_up=0, ramp=0, **options), "fp32"
        )
        assert not equal(weights(plain.student), weights(ours.student))


# -- which gradients flow where


def test_loss_reaches_the_student_and_no_estimator():
    objective, batch = ready()
    report = objective.loss(batch)
    assert set(report.terms) == {"l1", "bound", "wavelet"}
    report.total.backward()
    assert all(gradient is None for gradient in gradients(objective.chain))
    assert all(parameter.requires_grad for parameter in objective.chain.parameters())
    student = dict(zip(objective.student.state_dict(), gradients(objective.student), strict=True))
    assert all(gradient is not None for gradient in student.values())
    assert all(
        float(gradient.abs().sum()) > 0
        for name, gradient in student.items()
        if "conv_du" not in name
    )  # narrow gates may be dead
    past = objective.soft_target.past
    assert all(gradient is None for gradient in gradients(past))
    assert not any(node.requires_grad for node in report.nodes)
    assert not any(term.requires_grad for term in report.terms.values())


def test_auxiliary_step_moves_the_estimators_and_not_the_student():
    objective, batch = ready(inner_steps=3)
    report = objective.loss(batch)
    report.total.backward()
    before, student_before, chain_before = (
        gradients(objective.student),
        weights(objective.student),
        weights(objective.chain),
    )
    losses = objective.auxiliary_step(report.nodes)
    assert equal(gradients(objective.student), before)
    assert equal(weights(objective.student), student_before)
    assert not any(
        torch.equal(x, y) for x, y in zip(weights(objective.chain), chain_before, strict=True)
    )
    assert not losses["nll"].requires_grad
    objective.student.zero_grad(set_to_none=True)
    objective.loss(
        batch
    ).total.backward()  # what the estimators' own step left in .grad must not grow
    objective.auxiliary_step(report.nodes)
    assert all(gradient is not None for gradient in gradients(objective.chain))


def test_estimators_forget_the_gradients_of_the_step_before():
    objective, batch = ready(estimator_clip=1e6)
    nodes = objective.loss(batch).nodes
    objective.auxiliary_step(nodes)
    fresh = list(
        torch.autograd.grad(objective.chain.nll(nodes), list(objective.chain.parameters()))
    )
    objective.auxiliary_step(nodes)
    assert equal(gradients(objective.chain), fresh)


def test_estimators_gradient_is_clipped():
    objective, batch = ready(estimator_clip=1e-3)
    objective.auxiliary_step(objective.loss(batch).nodes)
    norm = torch.cat([gradient.flatten() for gradient in gradients(objective.chain)]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.slow
def test_estimators_learn():
    objective, batch = ready(estimator_learning_rate=1e-2)
    nodes = objective.loss(batch).nodes
    losses = [float(objective.auxiliary_step(nodes)["nll"]) for _ in range(60)]
    assert losses[-1] < losses[0] - 0.5


def test_frozen_estimators_are_a_control():
    objective, batch = ready(inner_steps=0)
    before = weights(objective.chain)
    assert objective.auxiliary_step(objective.loss(batch).nodes) == {}
    assert equal(weights(objective.chain), before)


def test_total_gradient_is_the_weighted_sum_of_the_terms():
    objective, batch = ready()
    objective.loss(batch).total.backward()
    total = gradients(objective.student)
    sr, nodes = objective.student.trace(batch.lr)
    by_hand = (
        (sr - batch.hr).abs().mean()
        + 0.01 * objective.chain.upper_bound(nodes)
        + 0.05 * wavelet_loss(sr, objective.soft_target(batch).detach())
    )
    expected = torch.autograd.grad(by_hand, list(objective.student.parameters()))
    for x, y in zip(total, expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-7)


def test_the_bound_reaches_the_student_through_both_nodes_of_a_link():
    objective, batch = ready(lambda_mi=1.0, lambda_hf=0.0, links=[3])
    terms, _ = objective.terms(batch)
    student = objective.student
    last = torch.autograd.grad(
        terms["bound"], student.get_submodule("IMDB3").c5.bias, retain_graph=True
    )[0]
    earlier = torch.autograd.grad(terms["bound"], student.get_submodule("IMDB2").c5.bias)[0]
    nodes = student.trace(batch.lr).nodes
    cut = [node.detach().requires_grad_() for node in nodes]
    objective.bound(objective.chain.links(cut)[2]).backward()
    assert cut[0].grad is None  # the other links only watch
    assert cut[1].grad is None
    torch.testing.assert_close(last, cut[3].grad.sum(dim=(0, 2, 3)), rtol=1e-4, atol=1e-7)
    through_f2 = cut[2].grad.sum(dim=(0, 2, 3))
    assert float(through_f2.norm()) > 0
    assert not torch.allclose(earlier, last)
    assert float(earlier.norm()) > 0


def test_diagnostics_change_nothing():
    objective, batch = ready()
    objective.loss(batch).total.backward()
    before = [
        gradients(objective.student),
        weights(objective.student),
        weights(objective.chain),
        gradients(objective.chain),
    ]
    generator = torch.get_rng_state()
    figures = objective.diagnostics(batch)
    after = [
        gradients(objective.student),
        weights(objective.student),
        weights(objective.chain),
        gradients(objective.chain),
    ]
    assert all(equal(x, y) for x, y in zip(before, after, strict=True))
    assert torch.equal(torch.get_rng_state(), generator)
    assert {f"{name}/link{k}" for name in ("bound", "nll") for k in (1, 2, 3)} <= figures.keys()
    assert {f"scale/F{k}" for k in range(4)} | {
        "gradient_share/bound",
        "gradient_cosine/wavelet",
        "soft_target/flipped",
    } <= figures.keys()
    assert all(isinstance(value, float) for value in figures.values())


def test_diagnostics_say_what_the_gradients_are():
    objective, batch = ready()
    figures = objective.diagnostics(batch)
    terms, _ = objective.terms(batch)
    parameters = list(objective.student.parameters())
    flat = {}
    for name, term in terms.items():
        parts = torch.autograd.grad(
            term, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        flat[name] = torch.cat([part.flatten() for part in parts])
    for name, weight in (("bound", 0.01), ("wavelet", 0.05)):
        assert figures[f"gradient_share/{name}"] == pytest.approx(
            weight * float(flat[name].norm() / flat["l1"].norm()), rel=1e-4
        )
        cosine = float(flat[name] @ flat["l1"] / flat[name].norm() / flat["l1"].norm())
        assert figures[f"gradient_cosine/{name}"] == pytest.approx(cosine, abs=1e-4)


# -- weights over time


@pytest.mark.parametrize(("warm_up", "ramp"), [(0, 0), (3, 0), (0, 4), (3, 4)])
def test_bound_waits_then_ramps(warm_up: int, ramp: int):
    objective = IBSD(tiny.student(), lambda_mi=0.5, warm_up=warm_up, ramp=ramp)
    for step in range(12):
        objective.begin_step(step, 12)
        expected = (
            0.0
            if step < warm_up
            else 1.0
            if step >= warm_up + ramp
            else (step - warm_up + 1) / ramp
        )
        assert objective.weights["bound"] == pytest.approx(0.5 * min(1, expected), rel=1e-12)


def test_the_bound_is_not_computed_while_it_has_no_weight():
    objective, batch = ready(warm_up=100)
    assert set(objective.loss(batch).terms) == {"l1", "wavelet"}


def test_watched_links_are_reported_and_chosen_links_summed():
    everything, batch = ready()
    single, _ = ready(links=[2])
    figures = single.diagnostics(batch)
    assert float(single.loss(batch).terms["bound"]) == pytest.approx(
        figures["bound/link2"], rel=1e-5
    )
    assert float(everything.loss(batch).terms["bound"]) == pytest.approx(
        sum(figures[f"bound/link{k}"] for k in (1, 2, 3)), rel=1e-5
    )


# -- soft target's effect


def test_flipped_share_counts_changed_signs():
    generator = torch.Generator().manual_seed(0)
    sr, hr = (torch.rand(2, 3, 16, 16, generator=generator) for _ in range(2))
    assert flipped_share(sr, hr, hr) == 0
    assert flipped_share(sr, hr, torch.lerp(hr, sr, 0.5)) == pytest.approx(
        0, abs=2e-3
    )  # half way from HR to SR: same signs, smaller
    assert flipped_share(sr, hr, 2 * sr - hr) == 1  # beyond SR: every sign turns
    assert flipped_share(hr, hr, sr) == pytest.approx(
        1, abs=2e-3
    )  # at HR, no direction becomes some direction


# -- construction


def test_estimators_draw_from_a_generator_of_their_own():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    student = tiny.student()
    first, again, other = IBSD(student, seed=1), IBSD(student, seed=1), IBSD(student, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert equal(weights(first.chain), weights(again.chain))
    assert not equal(weights(first.chain), weights(other.chain))


def test_a_batch_of_one_has_no_unpaired_samples():
    objective, batch = ready()
    one = batch._replace(
        lr=batch.lr[:1], hr=batch.hr[:1], origin=type(batch.origin)(*(x[:1] for x in batch.origin))
    )
    with pytest.raises(InputError, match="batch"):
        objective.loss(one)


@pytest.mark.parametrize("negatives", ["all", "others"])
def test_watching_alone_also_works_with_a_batch_of_one(negatives: str):
    source = tiny.source(batch_size=1)
    objective = IBSD(tiny.student(), lambda_mi=0, negatives=negatives)
    objective.prepare(source)
    assert (
        Trainer(objective, source, TrainingOptions(num_steps=2, diagnostics_every=1)).run().finished
    )


WRONG: dict[str, tuple[Any, ...]] = {
    "links": ([], [0], [4]),
    "lambda_mi": (math.nan,),
    "negatives": ("some",),
    "reduction": ("sum",),
    "soft_target": ("x",),
    "period": (0,),
    "final_share": (2,),
    "spread_floor": (0,),
    "levels": (0,),
    "estimator_clip": (0,),
    "given": ("lr",),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        *({name: value} for name, values in WRONG.items() for value in values),
        {"given": "hr", "reduction": "published"},
        {"negatives": "views", "reduction": "published"},
        {"negatives": "views", "gather_negatives": True},
    ],
)
def test_wrong_options_are_refused_at_once_and_not_after_the_warm_up(options: dict):
    with pytest.raises(InputError):
        IBSD(tiny.student(), **options)


def test_other_node_counts_get_as_many_links():
    student = create_student("imdn", scale=2, width=8, num_blocks=3, node_blocks=(3,))
    objective, source = IBSD(student, warm_up=0, ramp=0), tiny.source()
    objective.prepare(source)
    objective.begin_step(0, 4)
    report = objective.loss(source.next_batch())
    assert len(report.nodes) == 2
    assert "bound" in report.terms


def test_one_infinite_feature_does_not_ruin_the_estimators():
    objective, batch = ready()
    nodes = objective.loss(batch).nodes
    before = weights(objective.chain)
    nodes[1].view(-1)[0] = torch.inf
    objective.auxiliary_step(nodes)
    assert equal(weights(objective.chain), before)


def test_diagnostics_fill_no_bank_where_the_soft_target_has_no_weight():
    source = tiny.source()
    objective = IBSD(tiny.student(), lambda_hf=0.0, period=1)
    objective.prepare(source)
    for step in range(3):
        objective.begin_step(step, 4)
        objective.end_step()
    assert "soft_target/flipped" not in objective.diagnostics(source.next_batch())
    assert objective.soft_target.bank is None
