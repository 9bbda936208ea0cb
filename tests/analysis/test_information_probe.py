"""Laws of fresh estimators: they reach the closed form, do not care about units, and tell
forgetting from hiding and from shrinking."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from functools import cache

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.analysis.crops import cut_crop_sets
from ibsd.analysis.decomposition import decompose
from ibsd.analysis.fresh_estimators import FitOptions, Nodes, fit_fresh
from ibsd.analysis.information_probe import (
    Reading,
    ReadingOptions,
    in_units_of,
    link_information,
    read_nodes,
    read_run,
    read_student,
    trace_nodes,
)
from ibsd.distillation import IBSD, Plain
from ibsd.information.chain import MarkovChain
from ibsd.information.club import club_upper_bound
from ibsd.types import InputError

R = 0.9
FIT = FitOptions(learning_rate=2e-2, batch_size=8, max_steps=200, check_every=10)
QUICK = ReadingOptions(negatives_batch=4, fit=FIT)
TWENTY_STEPS = ReadingOptions(negatives_batch=2, fit=FitOptions(max_steps=20))


def gaussian(
    num: int, seed: int, correlation: float = R, channels: int = 2, side: int = 8
) -> Nodes:
    """(earlier, later): unit Gaussians of the given correlation, element by element."""
    generator = torch.Generator().manual_seed(seed)
    later, noise = (torch.randn(num, channels, side, side, generator=generator) for _ in range(2))
    return correlation * later + math.sqrt(1 - correlation**2) * noise, later


def three_sets(correlation: float = R) -> tuple[Nodes, Nodes, Nodes]:
    return gaussian(48, 0, correlation), gaussian(16, 1, correlation), gaussian(32, 2, correlation)


def mapped(
    sets: tuple[Nodes, Nodes, Nodes], scale: Tensor | float = 1.0, turn: bool = False
) -> tuple[Nodes, Nodes, Nodes]:
    """Both nodes times `scale`; with `turn`, the later node's channels swapped and one of them
    negated."""

    def one(nodes: Nodes) -> Nodes:
        earlier, later = nodes
        if turn:
            later = torch.stack((-later[:, 1], later[:, 0]), dim=1)
        return earlier * scale, later * scale

    first, second, third = map(one, sets)
    return first, second, third


@cache
def estimators_of_the_run() -> MarkovChain:
    fit, stop, _ = three_sets()
    return fit_fresh(fit, stop, options=FIT).chain


@cache
def plain_reading() -> Reading:
    return read_nodes(*three_sets(), estimators_of_the_run(), QUICK)


def closed_form(correlation: float) -> float:
    """Bound of two unit Gaussians with negatives "others" (docs/method.md 3)."""
    return math.sqrt((1 + correlation**2) / (1 - correlation**2)) - 1


@pytest.mark.slow
def test_fresh_fit_reaches_the_closed_form() -> None:
    reading = plain_reading()
    assert reading.converged
    for figures in (reading.fresh, reading.standardised, reading.trained):
        assert figures is not None
        assert figures.bound[0] == pytest.approx(closed_form(R), rel=0.06)
    # Laplace likelihoods of the two Gaussians: log(2 b) + 1 with b the mean distance, so the gain
    # is log of their ratio.
    assert reading.fresh.gain[0] == pytest.approx(-math.log(1 - R**2) / 2, abs=0.03)
    assert reading.fresh.nll[0] == pytest.approx(
        math.log(2 * math.sqrt(2 / math.pi * (1 - R**2))) + 1, abs=0.03
    )


@pytest.mark.slow
def test_bound_with_all_negatives_is_the_stated_fraction_whatever_n() -> None:
    chain, (fit, _, held) = estimators_of_the_run(), three_sets()
    for batch in (2, 8, 32):
        figures = link_information(chain, held, fit, batch)
        parts = [
            tuple(node[start : start + batch] for node in held) for start in range(0, 32, batch)
        ]
        direct = sum(float(chain.upper_bound(part, negatives="all")) for part in parts) / len(
            parts
        )  # its parameters are frozen
        assert figures.bound_all[0] == pytest.approx(direct, rel=1e-5)
        assert figures.bound_all[0] == pytest.approx(figures.bound[0] * (batch - 1) / batch)
        assert figures.bound[0] == pytest.approx(closed_form(R), rel=0.08)


@pytest.mark.slow
def test_units_change_the_bound_of_fixed_estimators_but_not_of_fresh_standardised_ones() -> None:
    units = torch.tensor([0.02, 5.0]).view(1, 2, 1, 1)
    before, after = (
        plain_reading(),
        read_nodes(*mapped(three_sets(), units), estimators_of_the_run(), QUICK),
    )
    assert before.trained is not None
    assert after.trained is not None
    assert abs(after.trained.bound[0] - before.trained.bound[0]) > 0.2 * before.trained.bound[0]
    assert after.standardised.bound[0] == pytest.approx(before.standardised.bound[0], rel=1e-2)
    assert after.standardised.nll[0] == pytest.approx(before.standardised.nll[0], abs=5e-3)


@pytest.mark.slow
def test_fixed_estimators_lose_the_bound_with_the_scale_at_least_linearly() -> None:
    """The gain per element is at most s |x' - x| / b when the earlier node alone shrinks by s."""
    chain, (fit, _, held) = estimators_of_the_run(), three_sets()
    _, spread = chain.links(held)[0][1:]
    ceiling = 2 / math.sqrt(math.pi) / float(spread.detach().min())  # E|x' - x| of unit Gaussians
    for s in (1.0, 0.1, 0.01, 0.0):
        assert (
            abs(link_information(chain, (held[0] * s, held[1]), fit, 8).bound[0])
            <= s * ceiling + 1e-6
        )


@pytest.mark.slow
def test_decomposition_calls_smaller_features_scale() -> None:
    decomposition = decompose(
        plain_reading(), read_nodes(*mapped(three_sets(), 0.05), estimators_of_the_run(), QUICK)
    )
    assert decomposition.total.bound.drop > 1
    assert decomposition.total.bound.shares["scale"] > 0.8
    assert abs(decomposition.total.bound.shares["forgetting"]) < 0.1
    assert not decomposition.counts
    assert "fresh estimators do not see enough" in decomposition.why


@pytest.mark.slow
def test_decomposition_calls_moving_out_of_sight_hiding() -> None:
    decomposition = decompose(
        plain_reading(),
        read_nodes(*mapped(three_sets(), turn=True), estimators_of_the_run(), QUICK),
    )
    assert decomposition.total.bound.shares["hiding"] > 0.7
    assert abs(decomposition.total.bound.shares["forgetting"]) < 0.1
    assert not decomposition.counts


@pytest.mark.slow
def test_decomposition_calls_noise_forgetting() -> None:
    weaker = three_sets(correlation=0.3)
    followed = fit_fresh(weaker[0], weaker[1], options=FIT).chain
    decomposition = decompose(plain_reading(), read_nodes(*weaker, followed, QUICK))
    assert decomposition.total.bound.shares["forgetting"] > 0.9
    assert decomposition.total.bound.drop == pytest.approx(
        closed_form(R) - closed_form(0.3), rel=0.08
    )
    assert decomposition.counts, decomposition.why
    assert decomposition.links == (decomposition.total,)
    assert decomposition.total.gain.drop == pytest.approx(
        math.log((1 - 0.3**2) / (1 - R**2)) / 2, rel=0.05
    )


@pytest.mark.slow
def test_parts_sum_to_the_drop_and_no_drop_has_no_shares() -> None:
    same = decompose(plain_reading(), plain_reading())
    assert same.total.bound.drop == same.total.gain.hiding == 0
    assert same.total.bound.shares is None
    assert "no drop" in same.why
    other = decompose(
        plain_reading(), read_nodes(*mapped(three_sets(0.5), 0.5), estimators_of_the_run(), QUICK)
    ).total.gain
    assert other.scale + other.hiding + other.forgetting == pytest.approx(other.drop)
    json.dumps(asdict(same))


def test_units_of_a_reference_and_a_constant_channel() -> None:
    reference = (torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(0)) * 3 + 2,)
    reference[0][:, 1] = 7
    (inside,) = in_units_of(reference, reference)
    assert inside[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert inside[:, 0].square().mean() == pytest.approx(1, rel=1e-5)
    assert inside[:, 1].abs().max() == 0


def test_fit_is_deterministic_and_leaves_the_global_generator() -> None:
    fit, stop, _ = gaussian(4, 0), gaussian(4, 1), None
    state = torch.get_rng_state()
    first, second = (
        fit_fresh(fit, stop, options=FitOptions(max_steps=20, check_every=10)) for _ in range(2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert first.steps == second.steps
    assert not first.converged
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            first.chain.state_dict().values(), second.chain.state_dict().values(), strict=True
        )
    )


@pytest.mark.slow
def test_a_resolution_bounds_what_can_be_won() -> None:
    """A later node that gives the earlier one away exactly: b is the resolution at best, of the
    node's own deviation."""
    earlier, _ = gaussian(32, 0)
    nodes = (earlier * 7, earlier * 7)
    for resolution in (0.05, 0.2):
        fit = fit_fresh(nodes, nodes, resolution=resolution, options=FIT)
        most = (
            math.log(math.sqrt(2 / math.pi) / resolution) + 1
        )  # the guess is exact and b at its floor
        assert fit.chain.ibs[0].floor == pytest.approx(7 * resolution, rel=0.02)
        assert most - 0.5 < link_information(fit.chain, nodes, nodes, 8).gain[0] <= most + 1e-3


@pytest.mark.slow
def test_reads_a_run_with_its_own_estimators_and_view() -> None:
    sizes = [(10, 12)] * 10
    patches = cut_crop_sets(tiny.stack(sizes), size_px=8, per_image=4)
    objective = IBSD(tiny.student(), pool=2)
    before = {name: value.clone() for name, value in objective.chain.state_dict().items()}
    reading = read_run(objective, patches, TWENTY_STEPS)
    assert all(
        torch.equal(before[name], value) for name, value in objective.chain.state_dict().items()
    )
    assert all(parameter.requires_grad for parameter in objective.chain.parameters())
    assert reading.setup["patch_px"] == 4
    assert reading.trained is not None
    nodes = objective.view(trace_nodes(objective.student, patches.held_out.lr), patches.held_out.lr)
    with torch.no_grad():
        links = [
            objective.chain.links([node[start : start + 2] for node in nodes])[0]
            for start in range(0, 12, 2)
        ]
        expected = sum(float(club_upper_bound(*link, negatives="others")) for link in links) / 6
    assert reading.trained.bound[0] == pytest.approx(expected, rel=1e-4)
    assert Reading.from_json(json.loads(json.dumps(reading.as_json()))) == reading

    watched = read_student(tiny.student(), patches, options=TWENTY_STEPS)
    assert watched.trained is watched.recalibrated is None
    assert read_run(Plain(tiny.student()), patches, TWENTY_STEPS) == watched
    assert read_run(IBSD(tiny.student(), given="hr"), patches, TWENTY_STEPS) == watched
    with pytest.raises(InputError, match="lambda_mi = 0"):
        decompose(watched, reading)
    with pytest.raises(InputError, match="batch of 13"):
        read_student(tiny.student(), patches, options=replace(TWENTY_STEPS, negatives_batch=13))
