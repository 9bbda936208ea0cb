"""When a run made earlier stands for the one that is asked for, and when it does not."""

from __future__ import annotations

from dataclasses import replace

from comparison.made_up import identity
from ibsd.comparison.identity import TRAINING_NUMERICS, RunRequest, departures
from ibsd.types import NUMERICS


def test_keys_follow_config_data_and_numerics() -> None:
    base = identity()
    assert base.data is not None
    other_config = base.config | {"training": base.config["training"] | {"training.num_steps": 7}}
    trained_otherwise = [
        replace(base, config=other_config),
        replace(base, data=base.data | {"train": "other"}),
        *(
            replace(base, numerics=base.numerics | {concept: 2})
            for concept in ("students", "information", "distillation", "data", "training")
        ),
    ]
    scored_otherwise = [
        replace(base, config=base.config | {"scoring": {"lpips": True}}),
        replace(base, data=base.data | {"tests": {"new": "other"}}),
        replace(base, numerics=base.numerics | {"metrics": 2}),
    ]
    assert len({run.training_key for run in [base, *trained_otherwise]}) == 8
    assert {run.training_key for run in scored_otherwise} == {base.training_key}
    assert len({run.key for run in [base, *trained_otherwise, *scored_otherwise]}) == 11


def test_every_concept_is_part_of_a_key() -> None:
    assert {*TRAINING_NUMERICS, "metrics"} == NUMERICS.keys() == identity().numerics.keys()


def test_names_of_arm_and_setting_are_no_part_of_the_key() -> None:
    assert identity("plain").training_key == identity("also-plain").training_key


def test_a_run_departs_where_a_value_differs() -> None:
    now = identity()
    then = identity(config=now.config | {"training": {"training.num_steps": 5, "run.seed": 0}})
    other_data = identity(data={"train": "x", "tests": {}})
    assert departures(RunRequest(now), then) == ["training.num_steps 5 -> 6"]
    assert departures(RunRequest(now), other_data) == ["data"]
    assert departures(RunRequest(replace(now, data=None)), other_data) == []
    older = identity(numerics=now.numerics | {"data": 0})
    assert departures(RunRequest(now), older) == [f"numerics.data 0 -> {now.numerics['data']}"]


def test_an_option_that_came_later_counts_as_its_default() -> None:
    then = identity()
    training = {**then.config["training"], "objective.options.pool": 0}
    now = identity(config=then.config | {"training": training})
    assert departures(RunRequest(now, {"objective.options.pool": 0}), then) == []
    assert departures(RunRequest(now, {"objective.options.pool": 4}), then) == [
        "objective.options.pool 4 -> 0"
    ]
    assert departures(RunRequest(now), then) == ["objective.options.pool '(nothing)' -> 0"]
