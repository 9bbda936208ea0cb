"""A mapping bends as far as pictures show, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from ibsd.registration.mapping import NUM_FIELD, NUM_RIGID, Array
from ibsd.registration.prior import Step, averaged_step

NUM = NUM_RIGID + NUM_FIELD


def step(truth: Array, noise: float) -> tuple[Step, Array]:
    """(the step, that of least squares alone) from 300 measurements of all parameters."""
    draw = np.random.default_rng(0)
    slopes = draw.normal(size=(300, len(truth))) / noise
    seen = slopes @ truth + draw.normal(size=300)
    normal, pull = slopes.T @ slopes, slopes.T @ seen
    free = np.asarray(np.linalg.solve(normal, pull), np.float64)
    return averaged_step(normal, pull, np.zeros(len(truth))), free


@pytest.mark.parametrize("num", [NUM_RIGID, NUM])
def test_what_is_surely_bent_stays_bent(num: int) -> None:
    truth = np.zeros(num)
    truth[[0, 4, 6, 8, num - 1]] = 1.02, 0.98, 0.03, 0.04, 0.02
    found, free = step(truth, 1e-4)
    assert found.change == pytest.approx(free, abs=2e-5)
    assert found.change == pytest.approx(truth, abs=5e-5)


def test_noise_bends_nothing() -> None:
    """A similarity is found, with what is more than one left at 0, where least squares bends."""
    truth = np.zeros(NUM)
    truth[[0, 1, 3, 4]] = 1.1, 0.2, -0.2, 1.1
    found, free = step(truth, 0.1)
    bent = [6, 7, *range(8, NUM)]
    assert np.linalg.norm(found.change[bent]) < 0.1 * np.linalg.norm(free[bent])
    assert found.change[[0, 1]] == pytest.approx(found.change[[4, 3]] * [1, -1], abs=0.01)
    assert found.change[[0, 1, 3, 4]] == pytest.approx(truth[[0, 1, 3, 4]], abs=0.02)


def test_the_spread_is_that_of_the_error() -> None:
    """Of the shift, over drawn noises: within a third."""
    draw = np.random.default_rng(1)
    slopes = draw.normal(size=(40, 60, NUM_RIGID)) / 0.01
    normal = np.swapaxes(slopes, 1, 2) @ slopes
    pull = (np.swapaxes(slopes, 1, 2) @ draw.normal(size=(40, 60, 1)))[..., 0]
    steps = [averaged_step(*one, np.zeros(NUM_RIGID)) for one in zip(normal, pull, strict=True)]
    error = np.sqrt(np.mean([one.change[2] ** 2 for one in steps]))
    spread = np.sqrt(np.mean([one.covariance[2, 2] for one in steps]))
    assert 0.67 < error / spread < 1.5


def test_where_nothing_is_seen_nothing_moves_but_bends_go() -> None:
    parameters = np.zeros(NUM)
    parameters[[0, 4, 2, 8]] = 1.0, 1.0, 0.3, 0.01
    found = averaged_step(np.zeros((NUM, NUM)), np.zeros(NUM), parameters)
    assert found.change[[0, 2, 4]] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(found.covariance).all()
    assert parameters[8] + found.change[8] == pytest.approx(0, abs=1e-4)


def test_of_measurements_that_err_alike_less_is_sure() -> None:
    draw = np.random.default_rng(0)
    slopes = draw.normal(size=(60, NUM)) / 0.1
    normal, pull = slopes.T @ slopes, slopes.T @ draw.normal(size=60)
    one, three = (averaged_step(normal, pull, np.zeros(NUM), alike) for alike in (1.0, 3.0))
    assert np.trace(three.covariance) > 1.1 * np.trace(one.covariance)
