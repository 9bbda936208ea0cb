"""Options of training are checked when they are made, whoever makes them."""

from __future__ import annotations

from typing import Any

import pytest

from ibsd.training import Schedule, TrainingOptions
from ibsd.types import InputError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", 1.0),
        ("weight_decay", -0.1),
        ("ema_decay", 1.0),
        ("clip_norm", -1.0),
        ("skip_threshold", 1.0),
        ("max_consecutive_skips", 0),
        ("keep", 0),
        ("log_every", -1),
        ("diagnostics_every", -1),
        ("validate_every", -1),
        ("checkpoint_every", -1),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: Any):
    with pytest.raises(InputError, match=f"training.{name} is {value}; it must be"):
        TrainingOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("kind", "linear"), ("warm_up", -1), ("gamma", 0.0), ("gamma", 1.1), ("final_factor", -0.1)],
)
def test_so_is_one_of_the_schedule(name: str, value: Any):
    with pytest.raises(InputError, match=f"training.schedule.{name} is {value!r}; it must be"):
        Schedule(**{name: value})
