"""What the examinations of all runs say: probe accuracies against the baseline of the same seed,
and each arm's account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ibsd.analysis.decomposition import decompose
from ibsd.analysis.information_probe import Reading
from ibsd.comparison.design import Design, RunName
from ibsd.comparison.results import PIXELS, RANDOM_WEIGHTS, DecompositionLine, ProbeLine
from ibsd.comparison.statistics import MIN_SEEDS, t_interval
from ibsd.comparison.store import Examination

ALL = "all"
Examinations = Mapping[RunName, Examination]


def probe_lines(design: Design, examinations: Examinations) -> list[ProbeLine]:
    """Of every arm, node and classifier, and of random weights and pixels, where the same was asked
    as of the baseline."""
    found = []
    for setting in design.settings:
        baseline = {
            name.seed: each
            for name, each in examinations.items()
            if (name.setting, name.arm) == (setting, design.baseline) and each.probes
        }
        for arm in (*design.arms, RANDOM_WEIGHTS, PIXELS):
            tables: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
            for seed, plain in baseline.items():
                inside = arm in plain.probes
                run = plain if inside else examinations.get(RunName(setting, arm, seed))
                if run is not None and run.probes and run.asked == plain.asked:
                    tables[seed] = run.probes[arm if inside else "student"], plain.probes["student"]
            if tables:
                found += _lines(
                    setting,
                    arm,
                    [tables[seed] for seed in sorted(tables)],
                    is_baseline=arm == design.baseline,
                )
    return found


def _lines(
    setting: str,
    arm: str,
    tables: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    is_baseline: bool,
) -> list[ProbeLine]:
    ours, theirs = ([_accuracies(each) for each in side] for side in zip(*tables, strict=True))
    lines = []
    for node, classifier in ours[0]:
        values = np.array([each[node, classifier] for each in ours])
        differences = None
        if not is_baseline and all((node, classifier) in each for each in theirs):
            differences = values - np.array([each[node, classifier] for each in theirs])
        lines.append(
            ProbeLine(
                setting, arm, classifier, node, float(values.mean()), tables[0][0]["chance"], len(values),
                difference=None if differences is None else float(differences.mean()),
                t_interval=None if differences is None or len(values) < MIN_SEEDS else t_interval(differences),
            )
        )  # fmt: skip
    return lines


def _accuracies(table: dict[str, Any]) -> dict[tuple[str, str], float]:
    """{(node, classifier): mean accuracy}, with the means over either under `all`."""
    found = {
        (node, name): each["mean"]
        for node, by_name in table["accuracy"].items()
        for name, each in by_name.items()
    }
    nodes, classifiers = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    for name in classifiers:
        found[ALL, name] = float(np.mean([found[node, name] for node in nodes]))
    found[ALL, ALL] = float(np.mean([found[ALL, name] for name in classifiers]))
    return found


def decomposition_lines(
    design: Design, examinations: Examinations, watch: Sequence[str]
) -> list[DecompositionLine]:
    """Of every arm but the baseline; each run is held against the first watching arm of its view,
    else against the baseline."""
    found = []
    for setting in design.settings:
        for arm in design.arms:
            if arm == design.baseline:
                continue
            for against in (*(other for other in watch if other != arm), design.baseline):
                pairs = {}
                for seed in design.seeds:
                    run, plain = (
                        examinations.get(RunName(setting, each, seed)) for each in (arm, against)
                    )
                    if (
                        run is not None
                        and plain is not None
                        and _comparable(run, plain, with_own=against != design.baseline)
                    ):
                        pairs[seed] = (
                            Reading.from_json(plain.reading),
                            Reading.from_json(run.reading),
                        )
                if pairs:
                    found.append(_account_line(setting, arm, against, pairs))
                    break
    return found


def _comparable(run: Examination, plain: Examination, with_own: bool) -> bool:
    views = [each.view if with_own else {**each.view, "floor": None} for each in (run, plain)]
    have_own = all(each.reading["trained"] is not None for each in (run, plain))
    alike = all(run.reading[name] == plain.reading[name] for name in ("facts", "resolution"))
    return views[0] == views[1] and alike and (have_own or not with_own)


def _account_line(
    setting: str, arm: str, against: str, pairs: Mapping[int, tuple[Reading, Reading]]
) -> DecompositionLine:
    def mean_sums(kind: str, figure: str) -> tuple[float, float]:
        plain, ours = (
            float(
                np.mean(
                    [sum(getattr(getattr(pair[side], kind), figure)) for pair in pairs.values()]
                )
            )
            for side in (0, 1)
        )
        return plain, ours

    with_own = all(reading.trained is not None for pair in pairs.values() for reading in pair)
    decompositions = {seed: decompose(*pair) for seed, pair in pairs.items()} if with_own else {}
    drops = [decomposition.total.bound for decomposition in decompositions.values()]
    parts = None
    if drops:
        parts = {
            "scale": float(np.mean([drop.scale for drop in drops])),
            "hiding": float(np.mean([drop.hiding for drop in drops])),
            "forgetting": float(np.mean([drop.forgetting for drop in drops])),
        }
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
