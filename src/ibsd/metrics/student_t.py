"""Quantiles of Student's t distribution, for intervals of a mean over a few independent values."""

from __future__ import annotations

import math


def t_quantile(probability: float, degrees_of_freedom: int) -> float:
    """The t with P(T <= t) = `probability`, by bisection of the exact distribution function.

    `probability` lies in [0.5, 1); degrees of freedom are whole and at least 1, else ValueError.

    Check by hand: 0.975 gives 12.706 at 1 degree of freedom and 4.303 at 2.
    """
    if not 0.5 <= probability < 1 or degrees_of_freedom < 1:
        raise ValueError(
            f"t_quantile: probability {probability} must lie in [0.5, 1), "
            f"and degrees of freedom {degrees_of_freedom} be at least 1"
        )
    low = 0.0
    high = 1.0
    while t_distribution(high, degrees_of_freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if t_distribution(middle, degrees_of_freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_distribution(t: float, degrees_of_freedom: int) -> float:
    """P(T <= t) for t >= 0 and whole degrees of freedom.

    Finite sums of Abramowitz and Stegun, Handbook of Mathematical Functions (1964): 26.7.3 for odd
    degrees of freedom, 26.7.4 for even ones.
    """
    angle = math.atan2(t, math.sqrt(degrees_of_freedom))
    sine = math.sin(angle)
    square = math.cos(angle) ** 2
    odd = degrees_of_freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(1 if odd else 0, degrees_of_freedom - 1, 2):
        total += term
        term *= square * (k + 1) / (k + 2)
    central = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 + central / 2
