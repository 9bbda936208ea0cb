"""Laws of the options of IBSD: normalised and pooled nodes, the information beyond HR, frozen
estimators as a control."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import tiny
from ibsd.distillation import IBSD
from ibsd.information.club import club_upper_bound, laplace_nll
from ibsd.information.conditional import (
    ConditionalChain,
    ConditionalEstimator,
    conditional_information,
)
from ibsd.information.degradation import DegradationChain
from ibsd.information.estimator import LaplaceEstimator
from ibsd.information.view import pool, standardise
from ibsd.training.options import TrainingOptions
from ibsd.training.trainer import Trainer
from ibsd.types import InputError


def node(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def at_full_weight(**options: object) -> IBSD:
    objective = IBSD(
        tiny.student(), lambda_mi=1e-3, lambda_hf=0.0, warm_up=0, ramp=0, **{"pool": 0} | options
    )  # type: ignore[arg-type]
    objective.begin_step(0, 10)
    return objective


def test_standardise_removes_units_and_its_gradient_cannot_change_them() -> None:
    x = node(3, 2, 4, 4)
    units = torch.tensor([0.01, 30.0], dtype=torch.float64).view(1, 2, 1, 1)
    torch.testing.assert_close(
        standardise(x * units + 5), standardise(x), atol=1e-3, rtol=0
    )  # the variance floor shows at 0.01
    torch.testing.assert_close(standardise(x * 3 + 1), standardise(x), atol=1e-7, rtol=0)

    estimator = LaplaceEstimator(2).double()
    earlier, later = (
        node(3, 2, 4, 4, seed=1).requires_grad_(),
        node(3, 2, 4, 4, seed=2).requires_grad_(),
    )
    club_upper_bound(standardise(earlier), *estimator(standardise(later))).backward()
    for each in (earlier, later):
        assert each.grad is not None
        along_scale = (each.grad * each.detach()).sum(dim=(0, 2, 3))
        along_shift = each.grad.sum(dim=(0, 2, 3))
        assert along_scale.abs().max() < 1e-7  # the variance floor
        assert along_shift.abs().max() < 1e-12
        assert each.grad.abs().max() > 1e-4


def test_standardise_of_a_constant_channel_is_0_with_a_finite_gradient() -> None:
    x = torch.full((2, 1, 3, 3), 4.0, requires_grad=True)
    standardise(x).square().sum().backward()
    assert standardise(x).abs().max() == 0
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert standardise(x.detach().bfloat16()).dtype == torch.float32


def test_pool_by_hand_keeps_the_mean_and_ignores_the_order_within_a_block() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert pool(x, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert pool(x, 0) is x
    assert pool(x, 4).item() == pool(x, 100).item() == 7.5
    assert pool(x, 3).shape == (1, 1, 2, 2)
    assert pool(x, 3)[0, 0, 1, 1].item() == 15  # the corner block is one pixel
    turned = F.pixel_shuffle(F.pixel_unshuffle(x, 2).flip(1), 2)
    torch.testing.assert_close(pool(turned, 2), pool(x, 2))


def test_options_off_leave_every_bit_and_on_reach_the_chain() -> None:
    batch = tiny.source().next_batch()
    plain = at_full_weight()
    same = at_full_weight(normalise=False, pool=0, given="nothing")
    first, second = plain.loss(batch), same.loss(batch)
    assert torch.equal(first.total, second.total)
    nodes = plain.student.trace(batch.lr).nodes
    assert all(torch.equal(seen, direct) for seen, direct in zip(first.nodes, nodes, strict=True))

    pooled = at_full_weight(pool=4)
    report = pooled.loss(batch)
    assert report.nodes[0].shape == (3, 8, 2, 2)
    expected = pooled.chain.upper_bound([pool(each, 4) for each in nodes])  # type: ignore[operator]
    torch.testing.assert_close(report.terms["bound"], expected)
    normalised = at_full_weight(normalise=True).loss(batch)
    assert normalised.nodes[2].std() == pytest.approx(1, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"pool": 4},
        {"normalise": True},
        {"given": "hr"},
        {"given": "hr", "pool": 2, "normalise": True},
        {"given": "degradation"},
        {"given": "degradation", "pool": 4, "normalise": True},
    ],
)
def test_every_option_trains_the_estimators_and_separates_gradients(options: dict) -> None:
    objective, batch = at_full_weight(**options), tiny.source().next_batch()
    report = objective.loss(batch)
    report.total.backward()
    assert all(parameter.grad is None for parameter in objective.chain.parameters())
    assert not any(seen.requires_grad for seen in report.nodes)
    before = [float(objective.auxiliary_step(report.nodes)["nll"]) for _ in range(30)]
    assert before[-1] < before[0]
    figures = objective.diagnostics(batch)
    assert {"bound/link1", "nll/link3", "scale/F3", "gradient_share/bound"} <= figures.keys()
    again = at_full_weight(**options)
    again.load_state(objective.state())
    again.student.load_state_dict(objective.student.state_dict())
    again.begin_step(0, 10)
    assert torch.equal(again.loss(batch).total, objective.loss(batch).total)


def test_conditional_information_starts_at_0_and_its_first_part_is_blind_to_the_later_node() -> (
    None
):
    estimator = ConditionalEstimator(2, 12).double()
    content, earlier = node(2, 12, 5, 5), node(2, 2, 5, 5, seed=1)
    with torch.no_grad():
        one, other = (estimator(node(2, 2, 5, 5, seed=seed), content) for seed in (2, 3))
    assert float(conditional_information(earlier, *one)) == 0
    assert torch.equal(one[2], other[2])
    assert torch.equal(one[3], other[3])


@pytest.mark.slow
def test_conditional_information_is_what_content_does_not_explain() -> None:
    """earlier = content + hidden. A later node that holds the content adds nothing; one that holds
    the hidden part adds what it holds."""
    content, hidden, fresh = (
        node(8, 2, 12, 12, seed=seed, dtype=torch.float32) for seed in (0, 1, 2)
    )
    earlier = content + 0.5 * hidden
    found = {}
    for name, later in (("content", content + 0.01 * fresh), ("hidden", earlier + 0.1 * fresh)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            chain = ConditionalChain(2, 2, links=1)
        optimizer = torch.optim.Adam(chain.parameters(), lr=0.05)
        for step in range(400):
            optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
            optimizer.zero_grad()
            chain.nll((earlier, later, content)).backward()
            optimizer.step()
        with torch.no_grad():
            found[name] = float(conditional_information(*chain.links((earlier, later, content))[0]))
    assert abs(found["content"]) < 0.05
    assert found["hidden"] == pytest.approx(
        1.6, abs=0.15
    )  # log(0.5 / 0.1) = 1.609 nats for the best estimator


def test_conditional_chain_refuses_maps_that_do_not_fit() -> None:
    chain = ConditionalChain(2, 12)
    nodes = [torch.zeros(1, 2, 4, 4)] * 4
    with pytest.raises(InputError, match="4 nodes and HR, not 3"):
        chain.links([*nodes[:3], torch.zeros(1, 12, 4, 4)])
    with pytest.raises(InputError, match="same batch and pixels"):
        chain.links([*nodes, torch.zeros(1, 12, 5, 4)])
    both = conditional_information(*(torch.ones(1, 1, 1, 1),) * 5)
    assert both.item() == 0
    assert laplace_nll(torch.ones(1), torch.ones(1), torch.ones(1) / 2).item() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": -1}, "pool"),
        ({"given": "lr"}, "given"),
        ({"given": "hr", "reduction": "published"}, "reduction"),
        ({"given": "degradation", "reduction": "published"}, "reduction"),
    ],
)
def test_refuses_options_that_mean_nothing(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        IBSD(tiny.student(), **options)


def test_an_estimator_of_the_degradation_that_is_fooled_draws_no_gradient() -> None:
    objective, batch = at_full_weight(given="degradation"), tiny.source().next_batch()
    assert isinstance(objective.chain, DegradationChain)
    with torch.no_grad():
        for estimator in objective.chain.estimators:
            estimator.correction[-1].bias[:5] = 100.0  # confident of what is not so
    assert objective.diagnostics(batch)["bound/link1"] < -1
    assert objective.loss(batch).terms["bound"] == 0
    assert objective.diagnostics(batch)["gradient_share/bound"] == 0


@pytest.mark.slow
def test_frozen_estimators_stay_random_and_raise_no_alarm_about_themselves() -> None:
    objective = IBSD(
        tiny.student(), lambda_mi=1e-2, lambda_hf=0.0, warm_up=0, ramp=0, inner_steps=0
    )
    before = {name: value.clone() for name, value in objective.chain.state_dict().items()}
    said: list[str] = []
    trainer = Trainer(
        objective,
        tiny.source(),
        TrainingOptions(
            num_steps=6, log_every=2, diagnostics_every=2, validate_every=0, checkpoint_every=0
        ),
        log=said.append,
    )
    assert trainer.run().finished
    assert all(
        torch.equal(before[name], value) for name, value in objective.chain.state_dict().items()
    )
    assert "nll" not in trainer.latest
    figures = objective.diagnostics(tiny.source().next_batch())
    assert "gradient_share/bound" in figures
    objective.first_diagnostics = figures | {"bound/link1": 5.0}
    worse = figures | {
        "bound/link1": -1.0,
        "nll/link1": figures["nll/link1"] + 9,
        "scale/F1": 0.1 * figures["scale/F1"],
    }
    sentences = objective.alarms(worse)
    assert not any(
        "estimator" in sentence or "likelihood" in sentence for sentence in sentences + said
    )
    assert any("shrank" in sentence for sentence in sentences)
    objective.options = dataclasses.replace(objective.options, inner_steps=1)
    assert any("lags" in sentence for sentence in objective.alarms(worse))
