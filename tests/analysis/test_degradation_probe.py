"""Laws of the degradation probe: it finds what is planted, sits at chance on noise, and never sees
a photograph on both sides of a split."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.analysis.degradation_probe import (
    deal,
    estimate,
    fit_linear,
    node_statistics,
    pixel_statistics,
    probe,
    standardised,
)
from ibsd.types import InputError

NUM_GROUPS, CROPS = 40, 2


def labelled() -> tuple[Tensor, Tensor]:
    """(labels, groups): two classes of twenty photographs, two crops of each."""
    groups = torch.arange(NUM_GROUPS).repeat(CROPS)
    return groups % 2, groups


def noise(num_features: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(
        NUM_GROUPS * CROPS, num_features, generator=torch.Generator().manual_seed(seed)
    )


@pytest.mark.slow
def test_finds_a_planted_class_and_sits_at_chance_on_noise() -> None:
    labels, groups = labelled()
    planted = noise()
    planted[:, 2] = planted[:, 2] * 0.3 + 2 * labels
    ring = noise(2, seed=1)  # the class is the radius: no line parts it
    ring = ring / ring.norm(dim=1, keepdim=True) * (1 + 2 * labels).unsqueeze(1)
    result = probe({"planted": planted, "noise": noise(), "ring": ring}, labels, groups, rounds=1)
    assert result.chance == 0.5
    for classifier in ("linear", "mlp"):
        assert result.accuracy["planted"][classifier].low > 0.9
        guess = result.accuracy["noise"][classifier]
        assert guess.low < 0.5 < guess.high
    assert result.accuracy["ring"]["mlp"].mean > 0.9
    assert result.accuracy["ring"]["linear"].mean < 0.7


@pytest.mark.slow
def test_a_class_known_per_photograph_only_is_not_learnt_from_its_other_crops() -> None:
    labels, groups = labelled()
    signature = torch.randn(NUM_GROUPS, 12, generator=torch.Generator().manual_seed(3))[
        groups
    ]  # tells the photograph, not the class
    result = probe({"x": signature}, labels, groups, rounds=2, classifiers=["linear"])
    assert result.accuracy["x"]["linear"].low < 0.5


def test_groups_never_straddle_and_every_part_is_tested_once_with_its_share_of_classes() -> None:
    labels, groups = labelled()
    part = deal(labels, groups, folds=5, seed=7)
    for row in part:
        for group in range(NUM_GROUPS):
            assert len(row[groups == group].unique()) == 1
        for k in range(5):
            assert labels[row == k].float().mean() == 0.5
    assert ((part == 0).sum(dim=0) == 1).all()
    assert ((part == 1).sum(dim=0) == 1).all()


@pytest.mark.slow
def test_same_seed_same_result_and_units_do_not_matter() -> None:
    labels, groups = labelled()
    x = noise(4, seed=2).double() + labels.unsqueeze(1)
    first = probe({"x": x}, labels, groups, folds=3, rounds=1)
    assert probe({"x": x}, labels, groups, folds=3, rounds=1) == first
    other_units = probe(
        {"x": x * torch.tensor([1e-3, 1.0, 50.0, 1e4]) + 7},
        labels,
        groups,
        folds=3,
        rounds=1,
        classifiers=["linear"],
    )
    assert other_units.accuracy["x"]["linear"].folds == first.accuracy["x"]["linear"].folds


@pytest.mark.slow
def test_linear_problems_solved_together_are_the_ones_solved_alone_and_stationary() -> None:
    labels, _ = labelled()
    values = standardised(
        noise(3).double() + 0.5 * labels.unsqueeze(1), torch.ones(2, len(labels), dtype=torch.bool)
    )
    among = torch.ones(2, len(labels), dtype=torch.bool)
    among[1, :30] = False
    strength = torch.tensor([1e-2, 1.0], dtype=torch.float64)
    together = fit_linear(values, labels, 2, among, strength)
    alone = fit_linear(values[1:], labels, 2, among[1:], strength[1:])
    torch.testing.assert_close(together[1:], alone, atol=2e-4, rtol=0)
    # Where the gradient with respect to the bias is 0, the mean probability of a class is its
    # share.
    share = together[0].softmax(dim=1).mean(dim=0)[1]
    assert abs(float(share) - 0.5) < 1e-4


@pytest.mark.slow
def test_standardised_uses_known_samples_only_and_a_constant_feature_stays_finite() -> None:
    values = torch.tensor([[1.0, 5.0], [3.0, 5.0], [100.0, 5.0]], dtype=torch.float64)
    out = standardised(values, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(out[0, :, 0], torch.tensor([-1.0, 1.0, 98.0], dtype=torch.float64))
    assert out[0, :, 1].abs().max() == 0


def test_interval_is_the_corrected_one() -> None:
    result = estimate([0.4, 0.6, 0.5, 0.5], test_to_train=0.25)
    margin = 3.182446 * (0.02 / 3 * (1 / 4 + 0.25)) ** 0.5
    assert result.mean == pytest.approx(0.5)
    assert result.high - result.mean == pytest.approx(margin, rel=1e-6)


def test_node_statistics_are_moments_of_the_nodes_whatever_the_chunk() -> None:
    student = tiny.student().train()
    frozen = student.get_submodule("IMDB1").eval()
    images = torch.rand(5, 3, 9, 8, generator=torch.Generator().manual_seed(0))
    statistics = node_statistics(student, images, chunk=2)
    assert student.training and not frozen.training
    assert set(statistics) == {"F0", "F1", "F2", "F3"}
    node = student.eval().trace(images).nodes[2].detach().double()
    expected = torch.cat((node.mean(dim=(2, 3)), node.var(dim=(2, 3), correction=0).sqrt()), dim=1)
    torch.testing.assert_close(statistics["F2"], expected, atol=1e-6, rtol=1e-5)
    for name, values in node_statistics(student, list(images)).items():
        torch.testing.assert_close(values, statistics[name], atol=1e-6, rtol=1e-5)


def test_pixel_statistics_by_hand() -> None:
    image = torch.zeros(1, 3, 2, 2)
    image[0, :, :, 1] = 1  # a step across: differences across are 1, down 0
    row = pixel_statistics(image)[0]
    assert row.tolist() == [0.5] * 6 + [1.0] * 3 + [0.0] * 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(80, dtype=torch.long)}, "one class"),
        ({"folds": 2}, "at least 3"),
        ({"folds": 41}, "40 photographs"),
        ({"features": {"x": torch.full((80, 2), float("nan"))}}, "finite"),
        ({"features": {"x": torch.zeros(79, 2)}}, "finite row for each"),
        ({"classifiers": ["forest"]}, "no classifier"),
    ],
)
def test_refuses_what_it_cannot_guess_from(change: dict[str, Any], message: str) -> None:
    labels, groups = labelled()
    arguments: dict[str, Any] = {
        "features": {"x": noise()},
        "labels": labels,
        "groups": groups,
    } | change
    with pytest.raises(InputError, match=message):
        probe(**arguments)
