"""What the features of one finished run give away.

The probe looks at the averaged weights, which are the ones that ship; the reading at the last
step's own, which are the ones that the run's estimators followed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ibsd.analysis.crops import CropSets
from ibsd.analysis.degradation_probe import node_statistics, pixel_statistics, probe
from ibsd.analysis.fresh_estimators import FitOptions
from ibsd.analysis.information_probe import ReadingOptions, own_chain, read_run
from ibsd.comparison.store import Examination
from ibsd.distillation import IBSD, Objective
from ibsd.information.estimator import LaplaceEstimator
from ibsd.students import Student


class Crowd(NamedTuple):
    """Pictures of several classes: images [n, 3, h, w] in [0, 1], the class and the photograph of
    each."""

    images: Tensor
    labels: Tensor
    groups: Tensor


def probe_all(students: Mapping[str, Student | None], crowd: Crowd, rounds: int) -> dict[str, Any]:
    """{name: `ProbeResult.as_json()`}, all on the same folds; None stands for the pixels."""
    found = {}
    for name, student in students.items():
        features = (
            {"lr": pixel_statistics(crowd.images)}
            if student is None
            else node_statistics(student, crowd.images)
        )
        found[name] = probe(features, crowd.labels, crowd.groups, rounds=rounds).as_json()
    return found


def examine(
    key: str,
    asked: dict[str, Any],
    objective: Objective,
    crops: CropSets,
    fit_steps: int,
    probes: dict[str, Any],
) -> Examination:
    """The reading of a run with the last step's weights and estimators, beside the probes."""
    reading = read_run(objective, crops, ReadingOptions(fit=FitOptions(max_steps=fit_steps)))
    return Examination(
        key, asked, view_of(objective), json.loads(json.dumps(reading.as_json())), probes
    )


def view_of(objective: Objective) -> dict[str, Any]:
    """Where a run has no estimators of its own to read, fresh ones see the nodes as they are."""
    if (chain := own_chain(objective)) is None:
        return {"normalise": False, "pool": 0}
    first = chain.ibs[0]
    assert isinstance(objective, IBSD)
    assert isinstance(first, LaplaceEstimator)
    return {
        "normalise": objective.options.normalise,
        "pool": objective.options.pool,
        "floor": first.floor,
    }
