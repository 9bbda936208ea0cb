"""Means over test sets, such as one over cameras: every set counts alike, however many images it
has.

A mean stands as a setting of its own, with records that are joined from those of its parts seed by
seed. So whatever is said of a test set is said of a mean: scores, differences, refusals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ibsd.comparison.design import MEAN, Design, Place, RunName
from ibsd.comparison.store import RunRecord, TestScores


def joined_records(
    design: Design, records: Mapping[RunName, RunRecord]
) -> dict[RunName, RunRecord]:
    """A record for every mean, arm and seed whose parts are all there."""
    joined: dict[RunName, RunRecord] = {}
    for name, setting in design.settings.items():
        for arm in design.arms if setting.mean_of else ():
            for seed in design.seeds:
                parts = {
                    place: record
                    for place in setting.mean_of
                    if (record := records.get(RunName(place.setting, arm, seed)))
                    and place.test in record.tests
                }
                if len(parts) == len(setting.mean_of):
                    joined[RunName(name, arm, seed)] = _joined(name, parts)
    return joined


def _joined(name: str, parts: Mapping[Place, RunRecord]) -> RunRecord:
    """The record of one mean. Two of them are a pair if all their parts are pairs."""
    runs = {place.setting: record for place, record in parts.items()}
    first = next(iter(runs.values()))

    def joint(value: Callable[[RunRecord], Any]) -> str:
        return " ".join(str(value(run)) for run in runs.values())

    marks = set.intersection(*(set(run.pairing["marks"]) for run in runs.values()))
    pairing = {
        "initial_weights": joint(lambda run: run.pairing["initial_weights"]),
        "batches": joint(lambda run: run.pairing["batches"]),
        "marks": {mark: joint(lambda run, at=mark: run.pairing["marks"][at]) for mark in marks},
        "num_steps": max(run.pairing["num_steps"] for run in runs.values()),
        "keeps_data_order": all(run.pairing["keeps_data_order"] for run in runs.values()),
    }
    data = {
        "train": joint(lambda run: (run.identity.data or {})["train"]),
        "tests": {MEAN: [(run.identity.data or {})["tests"][p.test] for p, run in parts.items()]},
    }
    return replace(
        first,
        identity=replace(first.identity, setting=name, data=data),
        pairing=pairing,
        tests={MEAN: _joined_scores({p: run.tests[p.test] for p, run in parts.items()})},
    )


def _joined_scores(parts: Mapping[Place, TestScores]) -> TestScores:
    """The images of all parts behind each other, with the figures that every part has."""
    scores = list(parts.values())
    first = scores[0]
    kinds = {
        weights: _joined_figures([one.scores.get(weights, {}) for one in scores])
        for weights in first.scores
    }
    bicubic = {
        metric: sum(one.bicubic[metric] for one in scores) / len(scores)
        for metric in first.bicubic
        if all(metric in one.bicubic for one in scores)
    }
    return TestScores(
        first.role,
        tuple(f"{place}/{i}" for place, one in parts.items() for i in one.images),
        sum((one.patches for one in scores), ()),
        bicubic,
        kinds,
        _joined_figures([one.bicubic_images for one in scores]),
        {str(place): len(one.images) for place, one in parts.items()},
    )


def _joined_figures(tables: list[dict[str, tuple[float, ...]]]) -> dict[str, tuple[float, ...]]:
    return {
        metric: sum((table[metric] for table in tables), ())
        for metric in tables[0]
        if all(metric in table for table in tables)
    }
