"""Differences of paired runs: every arm less the baseline, and contrasts of any two arms.

Figures are subtracted image by image, seed by seed. Runs that are no pair are refused with a
reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ibsd.comparison.design import Design, Role, RunName
from ibsd.comparison.pairing import obstacles, other_scores
from ibsd.comparison.results import Difference
from ibsd.comparison.statistics import noise_floor, paired_difference
from ibsd.comparison.store import RunRecord, TestScores
from ibsd.training.result import AVERAGED
from ibsd.types import LOWER_IS_BETTER

OTHER_BATCHES = "their batches differ"

Records = Mapping[RunName, RunRecord]
Pair = tuple[RunRecord, RunRecord]
"""(run of the arm, run of the arm that it is held against), of one seed."""


@dataclass
class Differences:
    """All differences of a comparison, and what was refused."""

    to_baseline: list[Difference] = field(default_factory=list)
    contrasts: list[Difference] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """One figure on one test set, for all seeds of a pair of arms."""

    weights: str
    metric: str
    differences: np.ndarray
    """[seeds, images]"""
    image_weights: np.ndarray
    """[images]"""
    parts: Mapping[str, int]
    """{part: number of images} of a mean over test sets; empty for others."""

    @property
    def part_means(self) -> dict[str, float]:
        """{part: mean difference}"""
        if not self.parts:
            return {}
        ends = np.cumsum(list(self.parts.values()))[:-1]
        columns = np.split(self.differences.mean(axis=0), ends)
        weights = np.split(self.image_weights, ends)
        means = map(np.average, columns, [None] * len(columns), weights)
        return dict(zip(self.parts, map(float, means), strict=True))


def all_differences(design: Design, records: Records) -> Differences:
    """Every arm less the baseline, in every figure; `design.contrasts` in the primary figure."""
    differences = Differences()
    for setting, content in design.settings.items():
        pairs = {
            arm: paired_runs(design, records, setting, arm, design.baseline, differences.refused)
            for arm in design.arms
            if arm != design.baseline
        }
        contrasted = {
            (arm, against): paired_runs(design, records, setting, arm, against, differences.refused)
            for arm, against in design.contrasts
        }
        for test in content.tests:
            figures = {arm: figures_of(both, test) for arm, both in pairs.items()}
            chance = chance_differences(design, figures)
            place = setting, test
            for arm, both in figures.items():
                differences.to_baseline += [
                    difference(design, place, arm, design.baseline, pairs[arm], figure, chance)
                    for figure in both
                ]
            if test in content.parts:
                continue
            for (arm, against), both in contrasted.items():
                differences.contrasts += [
                    difference(design, place, arm, against, both, figure, chance)
                    for figure in figures_of(both, test)
                    if (figure.weights, figure.metric) == (AVERAGED, design.primary)
                ]
    return differences


def paired_runs(
    design: Design, records: Records, setting: str, arm: str, against: str, refused: list[str]
) -> list[Pair]:
    """Both runs of each seed that may be compared. `refused` gets a sentence on each other seed."""
    pairs: list[Pair] = []
    for seed in design.seeds:
        run = records.get(RunName(setting, arm, seed))
        other = records.get(RunName(setting, against, seed))
        if run is None or other is None:
            continue
        if reasons := refusal(run, other, role_of(design, arm, against)):
            names = f"{run.identity.name} is not compared with {other.identity.name}"
            refused.append(f"{names}: {', '.join(reasons)}")
        else:
            pairs.append((run, other))
    return pairs


def role_of(design: Design, arm: str, against: str) -> Role:
    """The role of a difference. The baseline's own role does not count."""
    roles = {design.arms[arm].role}
    if against != design.baseline:
        roles.add(design.arms[against].role)
    return next(role for role in ("a/a", "unpaired", "treatment") if role in roles)


def refusal(run: RunRecord, other: RunRecord, role: Role) -> list[str]:
    """Why the two are not compared; empty if they are."""
    given_up = [
        f"{record.identity.arm} was given up ({record.outcome})"
        for record in (run, other)
        if not record.finished
    ]
    if given_up:
        return given_up
    reasons = obstacles(run, other)
    if role == "a/a":
        if reasons == [OTHER_BATCHES]:
            return []
        return reasons or ["its batches are the baseline's, so it is no A/A pair"]
    if role == "unpaired" or not keeps_data_order((run, other)):
        return [reason for reason in reasons if reason != OTHER_BATCHES]
    return reasons


def keeps_data_order(pair: Pair) -> bool:
    return all(record.pairing["keeps_data_order"] for record in pair)


def figures_of(pairs: Sequence[Pair], test: str) -> list[Figure]:
    """Every figure that the pairs have on a test set."""
    usable = [pair for pair in pairs if other_scores(*pair, test) is None]
    figures: list[Figure] = []
    for weights, metric in metrics_of([run.tests[test] for run, _ in usable]):
        rows = [
            subtracted(*pair, test, weights, metric)
            for pair in usable
            if all(metric in record.tests[test].scores.get(weights, {}) for record in pair)
        ]
        if rows:
            image_weights = image_weights_of(usable[0][0], test, metric)
            parts = usable[0][0].tests[test].parts
            figures.append(Figure(weights, metric, np.stack(rows), image_weights, parts))
    return figures


def metrics_of(scores: Sequence[TestScores]) -> list[tuple[str, str]]:
    """(kind of weights, metric) of every figure that any of the runs has: older rows lack some."""
    figures = {
        (weights, metric): None
        for one in scores
        for weights, metrics in one.scores.items()
        for metric in metrics
    }
    return list(figures)


def subtracted(
    run: RunRecord, other: RunRecord, test: str, weights: str, metric: str
) -> np.ndarray:
    """Per image; of two infinities 0, as both are perfect."""
    ours, theirs = (np.array(record.tests[test].scores[weights][metric]) for record in (run, other))
    return np.where(ours == theirs, 0.0, ours - theirs)


def image_weights_of(run: RunRecord, test: str, metric: str) -> np.ndarray:
    """`realsr-testm` weighs an image by its patches, other protocols weigh all alike. The parts of
    a mean over test sets weigh alike."""
    scores = run.tests[test]
    by_patches = metric.startswith("realsr-testm.")
    weights = np.array(scores.patches if by_patches else [1] * len(scores.patches), dtype=float)
    if not scores.parts:
        return weights
    parts = np.split(weights, np.cumsum(list(scores.parts.values()))[:-1])
    return np.concatenate([part / part.sum() for part in parts])


def chance_differences(
    design: Design, figures: Mapping[str, Sequence[Figure]]
) -> dict[tuple[str, str], np.ndarray]:
    """{(weights, metric): mean difference of each seed} of the A/A pair, if it has two seeds or
    more."""
    return {
        (figure.weights, figure.metric): (
            figure.differences @ figure.image_weights / figure.image_weights.sum()
        )
        for arm, both in figures.items()
        if design.arms[arm].role == "a/a"
        for figure in both
        if len(figure.differences) > 1
    }


def difference(
    design: Design,
    place: tuple[str, str],
    arm: str,
    against: str,
    pairs: Sequence[Pair],
    figure: Figure,
    chance: Mapping[tuple[str, str], np.ndarray],
) -> Difference:
    """One figure of one pair of arms; `place` is (setting, test set)."""
    setting, test = place
    role = design.settings[setting].tests[test]
    lower = figure.metric.split(".")[-1] in LOWER_IS_BETTER
    counts = tuple(figure.parts.values())
    statistics = paired_difference(figure.differences, figure.image_weights, lower, counts)
    parts = figure.part_means
    by_chance = chance.get((figure.weights, figure.metric))
    num_seeds, num_images = figure.differences.shape
    if statistics.t_interval is None:
        verdict = "no interval"
    elif not statistics.excludes_zero:
        verdict = "no difference shown"
    elif any(part * statistics.mean <= 0 for part in parts.values()):
        verdict = "mixed"
    else:
        verdict = "better" if (statistics.mean < 0) == lower else "worse"
    kind = role_of(design, arm, against)
    if kind == "treatment" and not all(map(keeps_data_order, pairs)):
        kind = "unpaired"
    is_primary = (figure.weights, figure.metric) == (AVERAGED, design.primary)
    return Difference(
        setting=setting,
        test=test,
        role=role,
        weights=figure.weights,
        metric=figure.metric,
        arm=arm,
        against=against,
        num_seeds=num_seeds,
        num_images=num_images,
        **vars(statistics),
        smallest_detectable=statistics.smallest_detectable,
        noise_floor=None if by_chance is None else noise_floor(by_chance, num_seeds),
        verdict=verdict,
        kind=kind,
        primary=is_primary and design.is_claim(setting, test),
        parts=parts,
    )
