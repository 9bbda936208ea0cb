"""Laws of the statistics: known quantiles, coverage where the truth is known, and no claim from too
little."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ibsd.comparison.statistics import (
    bootstrap_interval,
    noise_floor,
    paired_difference,
    t_interval,
)


def test_t_interval_by_hand() -> None:
    """1, 2, 3: mean 2, deviation 1, half width 4.303 / sqrt(3)."""
    low, high = t_interval(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == (
        pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-5),
        pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-5),
    )


def synthetic(
    generator: np.random.Generator,
    truth: float,
    num_seeds: int,
    num_images: int,
    sigmas: tuple[float, float, float],
) -> np.ndarray:
    """Differences with an effect of the seed, one of the image that all seeds share, and noise."""
    seed, image, noise = sigmas
    shared = seed * generator.standard_normal((num_seeds, 1)) + image * generator.standard_normal(
        (1, num_images)
    )
    return truth + shared + noise * generator.standard_normal((num_seeds, num_images))


def covers(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] <= truth <= interval[1]


def test_t_interval_covers_the_truth_of_the_images_at_hand() -> None:
    """Given the images, seeds are the only chance: 95 % of the intervals hold the mean over these
    images."""
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        differences = synthetic(generator, 0.05, 3, 20, (0.1, 0.0, 0.1))
        hits += covers(t_interval(differences.mean(axis=1)), 0.05)
    assert 0.93 <= hits / 400 <= 0.97


def test_bootstrap_covers_the_truth_where_images_differ_and_seeds_share_them() -> None:
    """Images with effects of their own, the same for all seeds: about 95 %, where seeds x images as
    independent ones reach about 75 %."""
    generator = np.random.default_rng(1)
    hits = naive = 0
    for _ in range(150):
        differences = synthetic(generator, 0.02, 3, 40, (0.0, 0.2, 0.02))
        hits += covers(bootstrap_interval(differences, np.ones(40), num_resamples=400), 0.02)
        naive += covers(
            bootstrap_interval(differences.reshape(1, -1), np.ones(120), num_resamples=400), 0.02
        )
    assert hits / 150 >= 0.9
    assert naive / 150 <= 0.85


def test_bootstrap_repeats_itself_and_follows_weights() -> None:
    differences = np.random.default_rng(2).standard_normal((3, 12))
    assert bootstrap_interval(differences, np.ones(12)) == bootstrap_interval(
        differences, np.ones(12)
    )
    assert bootstrap_interval(differences, np.full(12, 3.0)) == pytest.approx(
        bootstrap_interval(differences, np.ones(12))
    )
    weights = np.array([2.0, *np.ones(11)])
    low, high = bootstrap_interval(differences, weights)
    mean = paired_difference(differences, weights).mean
    assert mean == pytest.approx(float(np.average(differences.mean(axis=0), weights=weights)))
    assert low < mean < high


def test_identical_runs_have_difference_zero_and_no_claim() -> None:
    found = paired_difference(np.zeros((3, 5)))
    assert (found.mean, found.t_interval, found.bootstrap_interval, found.wins, found.losses) == (
        0.0,
        (0.0, 0.0),
        (0.0, 0.0),
        0,
        0,
    )
    assert not found.excludes_zero


def test_fewer_than_three_seeds_have_no_interval_and_no_claim() -> None:
    found = paired_difference(np.full((2, 30), 1.0))
    assert found.t_interval is None
    assert found.bootstrap_interval is None
    assert not found.excludes_zero


def test_a_claim_needs_both_intervals() -> None:
    images = np.linspace(-1, 1.2, 12)
    only_seeds_agree = np.stack(
        [images, images + 0.001, images - 0.001]
    )  # every seed says +0.1, images disagree
    found = paired_difference(only_seeds_agree)
    assert found.t_interval is not None
    assert found.t_interval[0] > 0
    assert not found.excludes_zero
    only_images_agree = np.stack(
        [np.full(12, value) for value in (0.1, 0.9, 2.0)]
    )  # every image says so, three seeds vary too much
    found = paired_difference(only_images_agree)
    assert found.bootstrap_interval is not None
    assert found.bootstrap_interval[0] > 0
    assert not found.excludes_zero
    assert paired_difference(1 + 0.01 * only_seeds_agree).excludes_zero
    assert paired_difference(-1 - 0.01 * only_seeds_agree).excludes_zero


def test_wins_know_which_way_is_better() -> None:
    differences = np.array([[1.0, 1.0, -1.0, 0.0]] * 3)
    assert (paired_difference(differences).wins, paired_difference(differences).losses) == (2, 1)
    assert (
        paired_difference(differences, lower_is_better=True).wins,
        paired_difference(differences, lower_is_better=True).losses,
    ) == (
        1,
        2,
    )


@pytest.mark.slow
def test_noise_floor_is_passed_by_chance_in_five_percent_of_cases() -> None:
    generator = np.random.default_rng(3)
    passed = 0
    for _ in range(2000):
        passed += abs(generator.standard_normal(3).mean()) > noise_floor(
            generator.standard_normal(5), num_seeds=3
        )
    assert 0.03 <= passed / 2000 <= 0.07


def test_the_smallest_detectable_difference_is_where_both_intervals_leave_zero() -> None:
    """Moved to that mean, the wider interval touches zero; a little further both exclude it."""
    noise = np.random.default_rng(3).normal(0, 0.1, (5, 20))
    noise -= noise.mean()
    smallest = paired_difference(noise).smallest_detectable
    assert smallest is not None
    intervals = [paired_difference(noise).t_interval, paired_difference(noise).bootstrap_interval]
    assert smallest == max(high - low for low, high in intervals if low) / 2
    assert paired_difference(noise + 1.2 * smallest).excludes_zero
    assert not paired_difference(noise + 0.8 * smallest).excludes_zero
    assert paired_difference(noise[:2]).smallest_detectable is None
