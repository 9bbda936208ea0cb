"""Laws of Student's t: closed forms, a published table, and quantiles that undo probabilities."""

from __future__ import annotations

import math

import pytest

from ibsd.metrics.student_t import t_distribution, t_quantile


@pytest.mark.parametrize("probability", [0.5, 0.6, 0.75, 0.9, 0.95, 0.975, 0.99, 0.9995])
def test_quantiles_are_the_closed_forms_at_1_and_2_degrees_of_freedom(probability: float) -> None:
    """Cauchy's at 1: tan(pi (p - 1/2)). At 2: x sqrt(2 / (1 - x^2)) with x = 2 p - 1."""
    cauchy = math.tan(math.pi * (probability - 0.5))
    x = 2 * probability - 1
    assert t_quantile(probability, 1) == pytest.approx(cauchy, abs=1e-10, rel=1e-10)
    assert t_quantile(probability, 2) == pytest.approx(
        x * math.sqrt(2 / (1 - x * x)), abs=1e-10, rel=1e-10
    )


@pytest.mark.parametrize(
    ("degrees_of_freedom", "quantile"),
    [
        (1, 12.7062),
        (2, 4.302653),
        (3, 3.182446),
        (4, 2.776445),
        (5, 2.570582),
        (9, 2.262157),
        (10, 2.228139),
        (24, 2.063899),
        (30, 2.042272),
        (199, 1.971957),
    ],
)
def test_quantiles_are_those_of_the_tables(degrees_of_freedom: int, quantile: float) -> None:
    assert t_quantile(0.975, degrees_of_freedom) == pytest.approx(quantile, abs=5e-5)


@pytest.mark.parametrize("degrees_of_freedom", [1, 2, 3, 8, 15])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 4.0])
def test_the_quantile_undoes_the_distribution(degrees_of_freedom: int, t: float) -> None:
    probability = t_distribution(t, degrees_of_freedom)
    assert t_quantile(probability, degrees_of_freedom) == pytest.approx(t, abs=1e-9)


@pytest.mark.parametrize(
    ("probability", "degrees_of_freedom"), [(0.975, 0), (1.0, 3), (0.2, 3), (math.nan, 3)]
)
def test_arguments_outside_the_domain_are_refused(
    probability: float, degrees_of_freedom: int
) -> None:
    with pytest.raises(ValueError, match="t_quantile"):
        t_quantile(probability, degrees_of_freedom)
