"""What the features of finished runs give away: the examination of one run, and the tables of all.

The probe looks at the averaged weights, because they ship. The reading looks at the last step's own
weights, because the run's estimators followed them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ibsd.analysis.crops import CropSets
from ibsd.analysis.decomposition import PARTS, decompose
from ibsd.analysis.degradation_probe import node_statistics, pixel_statistics, probe
from ibsd.analysis.fresh_estimators import FitOptions
from ibsd.analysis.information_probe import Reading, ReadingOptions, own_chain, read_run
from ibsd.comparison.design import Design, RunName
from ibsd.comparison.results import ALL, PIXELS, RANDOM_WEIGHTS, DecompositionLine, ProbeLine
from ibsd.comparison.statistics import MIN_SEEDS, t_interval
from ibsd.comparison.store import Examination
from ibsd.distillation import IBSD, Objective
from ibsd.information.estimator import LaplaceEstimator
from ibsd.students import Student

Examinations = Mapping[RunName, Examination]


class Crowd(NamedTuple):
    """Pictures of several classes: images [n, 3, h, w] in [0, 1], the class and the photograph of
    each."""

    images: Tensor
    labels: Tensor
    groups: Tensor


def probe_all(students: Mapping[str, Student | None], crowd: Crowd, rounds: int) -> dict[str, Any]:
    """{name: `ProbeResult` as a dict}, all on the same folds; None stands for the pixels."""
    probes: dict[str, Any] = {}
    for name, student in students.items():
        features = (
            {"lr": pixel_statistics(crowd.images)}
            if student is None
            else node_statistics(student, crowd.images)
        )
        probes[name] = asdict(probe(features, crowd.labels, crowd.groups, rounds=rounds))
    return probes


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
    """How estimators see the nodes. For a run without estimators of its own: as they are."""
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


def probe_lines(design: Design, examinations: Examinations) -> list[ProbeLine]:
    """The lines of every arm, node and classifier, of random weights and of pixels. A run counts if
    the same was asked of it as of the baseline."""
    lines: list[ProbeLine] = []
    for setting in design.settings:
        baseline = {
            name.seed: examination
            for name, examination in examinations.items()
            if (name.setting, name.arm) == (setting, design.baseline) and examination.probes
        }
        for arm in (*design.arms, RANDOM_WEIGHTS, PIXELS):
            tables: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
            for seed, plain in baseline.items():
                inside = arm in plain.probes
                run = plain if inside else examinations.get(RunName(setting, arm, seed))
                if run is not None and run.probes and run.asked == plain.asked:
                    tables[seed] = run.probes[arm if inside else "student"], plain.probes["student"]
            if tables:
                lines += _lines_of_arm(
                    setting,
                    arm,
                    [tables[seed] for seed in sorted(tables)],
                    is_baseline=arm == design.baseline,
                )
    return lines


def _lines_of_arm(
    setting: str,
    arm: str,
    tables: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    is_baseline: bool,
) -> list[ProbeLine]:
    """`tables` holds (of the arm, of the baseline) for each seed."""
    ours = [_accuracies(table) for table, _ in tables]
    theirs = [_accuracies(table) for _, table in tables]
    lines: list[ProbeLine] = []
    for key in ours[0]:
        node, classifier = key
        values = np.array([accuracies[key] for accuracies in ours])
        difference = interval = None
        if not is_baseline and all(key in accuracies for accuracies in theirs):
            differences = values - np.array([accuracies[key] for accuracies in theirs])
            difference = float(differences.mean())
            interval = t_interval(differences) if len(values) >= MIN_SEEDS else None
        lines.append(
            ProbeLine(
                setting=setting,
                arm=arm,
                classifier=classifier,
                node=node,
                accuracy=float(values.mean()),
                chance=tables[0][0]["chance"],
                num_seeds=len(values),
                difference=difference,
                t_interval=interval,
            )
        )
    return lines


def _accuracies(table: dict[str, Any]) -> dict[tuple[str, str], float]:
    """{(node, classifier): mean accuracy}, with the means over either under `all`."""
    means: dict[tuple[str, str], float] = {
        (node, classifier): estimate["mean"]
        for node, by_classifier in table["accuracy"].items()
        for classifier, estimate in by_classifier.items()
    }
    nodes = list(dict.fromkeys(node for node, _ in means))
    classifiers = list(dict.fromkeys(classifier for _, classifier in means))
    for classifier in classifiers:
        means[ALL, classifier] = float(np.mean([means[node, classifier] for node in nodes]))
    means[ALL, ALL] = float(np.mean([means[ALL, classifier] for classifier in classifiers]))
    return means


def decomposition_lines(
    design: Design, examinations: Examinations, watch: Sequence[str]
) -> list[DecompositionLine]:
    """A line for every arm but the baseline. Each is held against the first watching arm of its
    view, else against the baseline."""
    lines: list[DecompositionLine] = []
    for setting in design.settings:
        for arm in design.arms:
            if arm == design.baseline:
                continue
            for against in (*(other for other in watch if other != arm), design.baseline):
                with_own = against != design.baseline
                pairs: dict[int, tuple[Reading, Reading]] = {}
                for seed in design.seeds:
                    run = examinations.get(RunName(setting, arm, seed))
                    plain = examinations.get(RunName(setting, against, seed))
                    if run and plain and _comparable(run, plain, with_own):
                        pairs[seed] = (
                            Reading.from_json(plain.reading),
                            Reading.from_json(run.reading),
                        )
                if pairs:
                    lines.append(_decomposition_line(setting, arm, against, pairs))
                    break
    return lines


def _comparable(run: Examination, plain: Examination, with_own: bool) -> bool:
    both = (run, plain)
    views = [one.view if with_own else {**one.view, "floor": None} for one in both]
    have_own = all(one.reading["trained"] is not None for one in both)
    alike = all(run.reading[name] == plain.reading[name] for name in ("facts", "resolution"))
    return views[0] == views[1] and alike and (have_own or not with_own)


def _decomposition_line(
    setting: str, arm: str, against: str, pairs: Mapping[int, tuple[Reading, Reading]]
) -> DecompositionLine:
    def mean_sums(kind: str, figure: str) -> tuple[float, float]:
        """For both sides, the mean over the seeds of the sum over the links."""
        sides = zip(*pairs.values(), strict=True)
        plain, ours = (
            float(np.mean([sum(getattr(getattr(reading, kind), figure)) for reading in readings]))
            for readings in sides
        )
        return plain, ours

    with_own = all(reading.trained is not None for pair in pairs.values() for reading in pair)
    decompositions = {seed: decompose(*pair) for seed, pair in pairs.items()} if with_own else {}
    drops = [decomposition.total.bound for decomposition in decompositions.values()]
    parts = None
    if drops:
        parts = {part: float(np.mean([getattr(drop, part) for drop in drops])) for part in PARTS}
    return DecompositionLine(
        setting,
        arm,
        against,
        len(pairs),
        gain=mean_sums("standardised", "gain"),
        fresh=mean_sums("standardised", "bound"),
        own=mean_sums("trained", "bound") if drops else None,
        parts=parts,
        counts=sum(decomposition.counts for decomposition in decompositions.values()),
        why={seed: decomposition.why for seed, decomposition in decompositions.items()},
    )
