"""A mean over test sets: every part counts alike, a pair is one where each part is, and a claim
needs one sign on all parts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from comparison.made_up import METRIC, by_name, design, record
from ibsd.comparison import store
from ibsd.comparison.design import MEAN, Design, Place, SettingDesign
from ibsd.comparison.results import Difference, Results, results_from_table
from ibsd.comparison.store import RunRecord
from ibsd.comparison.summary import summarise
from ibsd.reporting.contrasts import contrast_table

LARGE, SMALL = 12, 3


def scores(gain: float, count: int, offset: float = 0.0) -> store.TestScores:
    values = tuple(np.linspace(28, 30, count) + gain + offset)
    bicubic = {METRIC: tuple(np.linspace(28, 30, count))}
    names = tuple(f"{k}" for k in range(count))
    return store.TestScores(
        "unseen", names, (1,) * count, {METRIC: 29.0}, {"ema": {METRIC: values}}, bicubic
    )


def run(arm: str, seed: int, large: float, small: float, batches: str = "order") -> RunRecord:
    """A run on a test set of many images and one of few; plain is 1 dB above bicubic on both."""
    one = record(arm, seed, batches=batches)
    tests = {"large": scores(large, LARGE, 1.0), "small": scores(small, SMALL, 1.0)}
    data = {"train": "t", "tests": {"large": "l", "small": "s"}}
    return replace(one, tests=tests, identity=replace(one.identity, data=data))


def outline() -> Design:
    places = (Place("north", "large"), Place("north", "small"))
    one = design(good="treatment", split="treatment")
    north = replace(one.settings["north"], tests={"large": "unseen", "small": "unseen"})
    cameras = SettingDesign("Mean", "", {MEAN: "unseen"}, mean_of=places)
    settings = {"cameras": cameras, "north": north}
    return replace(one, settings=settings, contrasts=(("good", "split"),))


def results(**changes: str) -> Results:
    seeds = (0, 1, 2)
    runs = [run("plain", seed, 0, 0) for seed in seeds]
    runs += [run("good", seed, 0.1 + seed / 100, 0.3, **changes) for seed in seeds]
    runs += [run("split", seed, 0.5 + seed / 100, -0.1) for seed in seeds]
    return summarise(outline(), by_name(*runs))


def found(said: Results, arm: str, setting: str = "cameras") -> Difference:
    rows = (row for row in said.differences if (row.setting, row.arm) == (setting, arm))
    return next(row for row in rows if row.metric == METRIC)


def test_parts_count_alike_however_many_images_they_have() -> None:
    good = found(results(), "good")
    assert good.mean == pytest.approx((0.11 + 0.3) / 2)
    assert good.parts == pytest.approx({"north/large": 0.11, "north/small": 0.3})
    assert good.num_images == LARGE + SMALL
    levels = {s.arm: s.mean for s in results().mean_scores if s.setting == "cameras"}
    assert levels == pytest.approx(
        {"plain": 30.0, "good": 30.205, "split": 30.205, "bicubic": 29.0}
    )


def test_only_the_mean_is_claimed_and_needs_one_sign_on_every_part() -> None:
    said = results()
    assert (found(said, "good").verdict, found(said, "split").verdict) == ("better", "mixed")
    assert {row.setting for row in said.differences if row.primary} == {"cameras"}
    assert found(said, "good", "north").verdict == "better"


def test_a_mean_of_runs_that_are_no_pair_is_refused() -> None:
    said = results(batches="other")
    assert any("good/0 is not compared" in sentence for sentence in said.refused)
    with pytest.raises(StopIteration):
        found(said, "good")


def test_contrasts_begin_with_the_mean_and_the_file_keeps_everything() -> None:
    said = results()
    assert [row[0] for row in contrast_table(said).rows][:2] == ["cameras: mean (unseen)"] * 2
    again = results_from_table(json.loads(said.to_json()))
    assert again == said
