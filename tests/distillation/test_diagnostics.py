"""Alarms: each fires on the figures it is made for, says what to change, and a healthy run is left
in peace."""

from __future__ import annotations

import math

import pytest

from ibsd.distillation.diagnostics import information_alarms

HEALTHY = {
    "bound/link1": 4.0,
    "bound/link2": 3.0,
    "bound/link3": 2.0,
    "nll/link1": -2.0,
    "nll/link2": -1.0,
    "nll/link3": 0.5,
    "scale/F0": 0.4,
    "scale/F1": 0.6,
    "scale/F2": 0.9,
    "scale/F3": 1.1,
    "gradient_share/bound": 0.2,
    "gradient_share/wavelet": 0.1,
    "gradient_cosine/bound": -0.3,
    "soft_target/share": 0.1,
    "soft_target/flipped": 0.02,
}


@pytest.mark.parametrize(
    "now",
    [
        {},
        {
            "bound/link1": 1.0,
            "nll/link1": -3.0,
        },  # falls while the estimator keeps up: forgetting, what we want
        {"bound/link1": 0.3, "nll/link1": -1.5},
        {"bound/link2": -0.01},  # noise around 0
        {"bound/link2": 20.0},
        {"scale/F1": 0.3, "scale/F2": 3.0},
        {"gradient_share/bound": 0.9, "gradient_share/wavelet": 5.0},
        {"scale/F3": 0.01},  # the last node is no link's earlier one
    ],
)
def test_healthy_figures_raise_none(now: dict[str, float]):
    assert information_alarms(HEALTHY, HEALTHY | now, penalised=True) == []


@pytest.mark.parametrize(
    ("now", "about", "advice"),
    [
        ({"bound/link2": -0.4}, "link2", "inner_steps"),
        ({"bound/link3": 5000.0}, "link3", "spread_floor"),
        ({"bound/link1": 0.1, "nll/link1": 0.0}, "link1", "lambda_mi"),
        ({"scale/F1": 0.05}, "link2", "lambda_mi"),
        ({"gradient_share/bound": 3.0}, "L1", "lambda_mi"),
    ],
)
def test_each_alarm_fires_alone_and_says_what_to_change(
    now: dict[str, float], about: str, advice: str
):
    sentences = information_alarms(HEALTHY, HEALTHY | now, penalised=True)
    assert len(sentences) == 1
    assert about in sentences[0]
    assert advice in sentences[0]
    assert information_alarms(HEALTHY, HEALTHY | now, penalised=False) == []


def test_a_bound_that_was_always_large_has_not_exploded():
    first = HEALTHY | {"bound/link1": 400.0}
    assert information_alarms(first, first | {"bound/link1": 800.0}, penalised=True) == []
    assert len(information_alarms(first, first | {"bound/link1": 8000.0}, penalised=True)) == 1


def test_several_at_once_and_more_links_than_nine():
    sick = {f"{name}/link{k}": -5.0 for k in range(1, 13) for name in ("bound", "nll")} | {
        f"scale/F{k}": 1.0 for k in range(13)
    }
    sentences = information_alarms(sick, sick, penalised=True)
    assert {sentence.split(":")[0] for sentence in sentences} == {f"link{k}" for k in range(1, 13)}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_figures_that_are_no_numbers_do_not_break_it(value: float):
    for name in HEALTHY:
        information_alarms(HEALTHY, HEALTHY | {name: value}, penalised=True)
        information_alarms(HEALTHY | {name: value}, HEALTHY, penalised=True)
    assert information_alarms(HEALTHY, HEALTHY | {"bound/link1": math.inf}, penalised=True)
