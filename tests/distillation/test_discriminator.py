"""The discriminator of `perceptual`: two losses, two sides that never learn from the wrong one, and
a lattice that it sees wherever it lies."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import tiny
from ibsd.distillation.discriminator import (
    Adversary,
    PatchDiscriminator,
    at_changing_phases,
    preference_loss,
)
from ibsd.distillation.perceptual import Perceptual
from ibsd.training.options import TrainingOptions
from ibsd.training.trainer import Trainer
from ibsd.types import Batch, InputError

CPU = torch.device("cpu")


def made(**options: Any) -> Perceptual:
    usual: dict[str, Any] = {"lambda_adversarial": 0.01, "discriminator_width": 4, "num_patches": 1}
    return Perceptual(tiny.student(), **usual | options)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    lr, hr = (torch.rand(3, 3, side, side, generator=generator) for side in (20, 40))
    return Batch(lr, hr, None)


def trainer(objective: Perceptual, folder: Path | None = None, **more: Any) -> Trainer:
    source = tiny.source(batch_size=4, patch_px=16, sizes=((17, 16), (16, 20), (16, 16)))
    options = TrainingOptions(
        num_steps=6, learning_rate=1e-3, log_every=2, diagnostics_every=4, checkpoint_every=0
    )
    return Trainer(objective, source, options, checkpoints=folder, **more)


def everything(run: Trainer) -> list[Tensor]:
    """The tensors of the student and of the discriminator, spectral norm's vectors included."""
    assert isinstance(run.objective, Perceptual) and run.objective.adversary
    network = run.objective.adversary.network
    return [*run.student.state_dict().values(), *network.state_dict().values()]


def test_losses_by_hand() -> None:
    real, false = torch.tensor([0.0, 2.0]), torch.tensor([0.0, -1.0])
    expected = (math.log(2) + math.log(1 + math.exp(-3))) / 2
    assert preference_loss(real, false).item() == pytest.approx(expected, rel=1e-6)
    expected = (math.log(2) + math.log(1 + math.exp(3))) / 2
    assert preference_loss(false, real).item() == pytest.approx(expected, rel=1e-6)


def test_the_term_reaches_the_student_only_and_the_auxiliary_step_the_discriminator_only() -> None:
    objective = made()
    assert objective.adversary
    network = objective.adversary.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    terms, nodes = objective.terms(batch())
    terms["adversarial"].backward()
    assert all(value.grad is None for value in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert any(
        value.grad is not None and value.grad.any() for value in objective.student.parameters()
    )
    objective.student.zero_grad(set_to_none=True)
    assert not any(node.requires_grad for node in nodes)
    objective.auxiliary_step(nodes)
    assert all(value.grad is None for value in objective.student.parameters())
    assert not any(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_without_weight_nothing_is_built_and_terms_are_those_of_before() -> None:
    plain, with_it = made(lambda_adversarial=0.0), made()
    assert plain.adversary is None and not plain.scheduled and plain.state() == {}
    (terms, nodes), (more, _) = plain.terms(batch()), with_it.terms(batch())
    assert list(terms) == ["l1", "lpips", "grid"] == list(plain.weights) and nodes == ()
    assert plain.auxiliary_step(nodes) == {}
    assert all(torch.equal(value, more[name]) for name, value in terms.items())


def test_during_the_warm_up_only_the_discriminator_learns() -> None:
    objective = made(adversarial_warm_up=2)
    learned: list[bool] = []
    has_term: list[bool] = []
    for step in range(3):
        objective.begin_step(step, 3)
        report = objective.loss(batch())
        has_term.append("adversarial" in report.terms)
        learned.append("discriminator" in objective.auxiliary_step(report.nodes))
        objective.end_step()
    assert has_term == [False, False, True] and all(learned)


@pytest.mark.slow
@pytest.mark.parametrize("deferred", [False, True])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, deferred: bool
) -> None:
    whole = trainer(made(adversarial_warm_up=2), deferred=deferred)
    whole.run()
    first = trainer(made(adversarial_warm_up=2), tmp_path, deferred=deferred)
    first.stop_requested = lambda: "stopped" if first.step == 3 else None
    first.run()
    second = trainer(made(adversarial_warm_up=2, seed=1), tmp_path, deferred=deferred)
    assert second.resume() and second.step == 3
    second.run()
    pairs = zip(everything(whole), everything(second), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    assert whole.latest == second.latest and "discriminator" in whole.latest


@pytest.mark.slow
def test_a_refused_step_changes_nothing_and_deferred_ones_equal_waiting_ones() -> None:
    sides: list[list[Tensor]] = []
    for deferred in (False, True):
        run = trainer(made(), deferred=deferred)
        cut = run.source.cut  # type: ignore[attr-defined]

        def broken(origin: Any, run: Trainer = run, cut: Any = cut) -> Batch:
            batch: Batch = cut(origin)
            return batch._replace(lr=batch.lr * math.nan) if run.step == 2 else batch

        run.source.cut = broken  # type: ignore[attr-defined]
        for step in range(5):
            before = [value.clone() for value in everything(run)]
            run.update()
            pairs = zip(before, everything(run), strict=True)
            assert all(torch.equal(old, new) for old, new in pairs) == (step == 2)
        sides.append(everything(run))
    for waiting, quick in zip(*sides, strict=True):
        assert torch.allclose(waiting, quick, rtol=1e-3, atol=1e-5)


def test_its_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = Adversary(CPU, 4, 1e-4, seed=0).network.state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    same, other = (Adversary(CPU, 4, 1e-4, seed).network.state_dict() for seed in (0, 1))
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert not any(torch.equal(value, other[name]) for name, value in first.items())


def test_sixty_four_images_in_a_row_are_cut_at_all_phases() -> None:
    places = torch.arange(8 * 9 * 1.0).view(1, 1, 8, 9)  # cut to one row and two columns
    corners = at_changing_phases(places.expand(64, -1, -1, -1), first=16)
    assert corners.shape == (64, 1, 1, 2)
    assert len(set(corners[..., 0].flatten().tolist())) == 64


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["blurred", "dots"])
def test_alone_it_learns_to_tell_hr_from_what_is_not(wrong: str) -> None:
    generator = torch.Generator().manual_seed(0)
    adversary = Adversary(CPU, 8, 2e-3, seed=0)

    def pair(first: int) -> tuple[Tensor, Tensor]:
        hr = torch.rand(4, 3, 48, 48, generator=generator)
        hr = 0.5 + 0.5 * (F.avg_pool2d(hr, 3, 1, 1) - 0.5)  # some texture
        sr = F.avg_pool2d(hr, 3, 1, 1)
        if wrong == "dots":
            sr = hr.clone()
            sr[..., ::4, ::4] += 0.05
        return at_changing_phases(sr, first), at_changing_phases(hr, first)

    for step in range(60):
        adversary.learn(*pair(4 * step))
    sr, hr = pair(0)
    with torch.no_grad():
        loss = preference_loss(adversary.network(hr), adversary.network(sr)).item()
    assert loss < 0.3 * math.log(2)
    # The gradient that the student would get makes images that are taken for HR.
    sr.requires_grad_()
    term = adversary.term(sr, hr)
    (slope,) = torch.autograd.grad(term, sr)
    assert adversary.term(sr - 1e-2 * slope / slope.abs().mean(), hr) < term


def test_under_bf16_judgements_are_fp32() -> None:
    images = torch.rand(1, 3, 32, 32)
    network = PatchDiscriminator(4).eval()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    assert logits.dtype == torch.float32 and torch.equal(logits, network(images))


@pytest.mark.parametrize(
    "options",
    [
        {"lambda_adversarial": -1.0},
        {"adversarial_warm_up": -1},
        {"discriminator_learning_rate": -1.0},
        {"discriminator_width": 0},
    ],
)
def test_an_option_out_of_range_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"perceptual: {next(iter(options))} is"):
        made(**options)
