"""Do no harm: how many images a network leaves worse than bicubic, and how bad its worst are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ibsd.comparison.design import Design, RunName
from ibsd.comparison.results import Harm
from ibsd.comparison.store import RunRecord, TestScores
from ibsd.training.result import AVERAGED
from ibsd.types import LOWER_IS_BETTER

WORST_SHARE = 0.1


def worst_tenth(gains: np.ndarray[Any, Any]) -> float:
    """Mean of the worst tenth of the images' gains, of one image at least.

    Check by hand: of gains 1, 2, ..., 20 it is 1.5.
    """
    count = math.ceil(WORST_SHARE * len(gains))
    return float(np.sort(gains)[:count].mean())


def harms(design: Design, records: Mapping[RunName, RunRecord]) -> list[Harm]:
    """Every arm's harm in the primary figure of the averaged weights, on every test set whose
    bicubic scores are known image by image."""
    metric = design.primary
    sign = -1 if metric.rpartition(".")[2] in LOWER_IS_BETTER else 1
    rows: list[Harm] = []
    for setting, content in design.settings.items():
        for test in content.whole_tests():
            for arm in design.arms:
                gains = [
                    sign * (np.array(ours[metric]) - np.array(scores.bicubic_images[metric]))
                    for seed in design.seeds
                    if (run := records.get(RunName(setting, arm, seed)))
                    and (scores := run.tests.get(test))
                    and metric in scores.bicubic_images
                    and metric in (ours := scores.scores.get(AVERAGED, {}))
                ]
                if gains:
                    worst = tuple(map(worst_tenth, gains))
                    below = float(np.mean([np.mean(one < 0) for one in gains]))
                    rows.append(Harm(setting, test, arm, float(np.mean(worst)), worst, below))
    return rows


def with_bicubic(records: Mapping[RunName, RunRecord]) -> dict[RunName, RunRecord]:
    """The records, where older ones take bicubic's score of each image from any run that was scored
    on the same images."""
    known: dict[str, TestScores] = {}
    for record in records.values():
        for test, scores in record.tests.items():
            if scores.bicubic_images:
                known.setdefault(_pictures(record, test), scores)

    def filled(record: RunRecord, test: str) -> TestScores:
        scores = record.tests[test]
        other = known.get(_pictures(record, test))
        if scores.bicubic_images or other is None:
            return scores
        return replace(scores, bicubic_images=other.bicubic_images)

    return {
        name: replace(record, tests={test: filled(record, test) for test in record.tests})
        for name, record in records.items()
    }


def _pictures(record: RunRecord, test: str) -> str:
    assert record.identity.data is not None
    return str(record.identity.data["tests"][test])
