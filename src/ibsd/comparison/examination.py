"""What the features of one finished run give away: a JSON beside the run's own, made once,
committed with it.

The probe looks at the averaged weights, which are the ones that ship; the reading at the last
step's own, which are the ones that the run's estimators followed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ibsd.analysis.degradation_probe import node_statistics, pixel_statistics, probe
from ibsd.analysis.information_probe import Patches, own_chain, read_run
from ibsd.comparison.identity import Identity
from ibsd.comparison.records import to_text
from ibsd.distillation import IBSD, Objective
from ibsd.information.estimator import LaplaceEstimator
from ibsd.students import Student
from ibsd.system import write_whole
from ibsd.types import InputError


@dataclass(frozen=True)
class Examination:
    """Of one run."""

    key: str
    """The run's."""
    asked: dict[str, Any]
    """Options, pictures and code that it depends on besides the run."""
    view: dict[str, Any]
    """What estimators saw of the nodes, and the floor of the run's own: only runs of one view have
    an account."""
    reading: dict[str, Any]
    """`Reading.as_table()`."""
    probes: dict[str, Any] = field(default_factory=dict)
    """{"student": `ProbeResult.as_table()`}, and for the baseline RANDOM_WEIGHTS and PIXELS too;
    nothing without classes."""


class Crowd(NamedTuple):
    """Pictures of several classes: images [n, 3, h, w] in [0, 1], the class and the photograph of
    each."""

    images: Tensor
    labels: Tensor
    groups: Tensor


def probe_all(students: Mapping[str, Student | None], crowd: Crowd, rounds: int) -> dict[str, Any]:
    """{name: `ProbeResult.as_table()`}, all on the same folds; None stands for the pixels."""
    found = {}
    for name, student in students.items():
        features = (
            {"lr": pixel_statistics(crowd.images)}
            if student is None
            else node_statistics(student, crowd.images)
        )
        found[name] = probe(features, crowd.labels, crowd.groups, rounds=rounds).as_table()
    return found


def examine(
    key: str,
    asked: dict[str, Any],
    objective: Objective,
    patches: Patches,
    fit_steps: int,
    probes: dict[str, Any],
) -> Examination:
    """The reading of a run with the last step's weights and estimators, beside the probes."""
    reading = read_run(objective, patches, max_steps=fit_steps)
    return Examination(
        key, asked, view_of(objective), json.loads(json.dumps(reading.as_table())), probes
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


def examination_path(folder: Path, identity: Identity) -> Path:
    """`folder`/setting/arm/examination-seed-N-key8.json"""
    return (
        folder
        / identity.setting
        / identity.arm
        / f"examination-seed-{identity.seed}-{identity.key[:8]}.json"
    )


def write_examination(folder: Path, identity: Identity, examination: Examination) -> None:
    write_whole(examination_path(folder, identity), to_text(asdict(examination), depth=5))


def read_examination(folder: Path, identity: Identity) -> Examination | None:
    """None where there is none. InputError naming the file if it is damaged."""
    path = examination_path(folder, identity)
    if not path.is_file():
        return None
    try:
        examination = Examination(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read as an examination ({error}); remove it, and --examine makes it again"
        ) from None
    return examination if examination.key == identity.key else None
