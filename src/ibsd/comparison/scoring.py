"""Scores of a run's averaged and last weights: every figure on every image of every test set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ibsd.comparison.bands import BANDS, band_psnr
from ibsd.comparison.store import TestScores
from ibsd.data.pairs import Pair
from ibsd.evaluation.scores import BICUBIC, LoadedPair, ScoreTable, evaluate
from ibsd.students.student import Student
from ibsd.training.result import AVERAGED, RAW

Value = TypeVar("Value")


@dataclass(frozen=True)
class TestSet:
    """Images to score on."""

    role: str
    pairs: tuple[Pair | LoadedPair, ...] = ()
    parts: tuple[str, ...] = ()
    """In place of pairs: earlier test sets of the same images in the same order, whose figures are
    averaged image by image."""


@dataclass(frozen=True)
class Scoring:
    """What a run is scored on."""

    tests: Mapping[str, TestSet]
    lpips: bool
    primary: str
    """`protocol.metric`. Of a row of a degradation matrix no other figure is kept."""
    derived: frozenset[str] = frozenset()
    """Kinds of weights besides the averaged and the last ones that an arm is scored by."""


def scores_on(scoring: Scoring, students: Mapping[str, Student]) -> dict[str, TestScores]:
    """{test set: scores} of those students, by kind of weights, that an arm asks for."""
    asked = {AVERAGED, RAW} | scoring.derived
    students = {kind: student for kind, student in students.items() if kind in asked}
    scores: dict[str, TestScores] = {}
    for name, test in scoring.tests.items():
        parts = [scores[part] for part in test.parts]
        scores[name] = (
            mean_scores(test.role, parts) if parts else score_on(test, students, scoring.lpips)
        )
    for part in {part for test in scoring.tests.values() for part in test.parts}:
        scores[part] = primary_alone(scores[part], scoring.primary)
    return scores


def score_on(test: TestSet, students: Mapping[str, Student], lpips: bool) -> TestScores:
    """Every protocol's figures of every picture, and those of the wavelet bands."""
    scale = next(iter(students.values())).spec.scale
    device = next(next(iter(students.values())).parameters()).device
    further = {BANDS: band_psnr}
    table = evaluate(students, test.pairs, scale, device, lpips, further=further)
    bicubic = {
        f"{protocol}.{metric}": round(table.means[BICUBIC][protocol][metric], 6)
        for protocol, metric in table.columns
    }
    rows = [row for row in table.rows if row.method == BICUBIC]
    scores = {weights: image_figures(table, weights) for weights in students}
    return TestScores(
        test.role,
        tuple(row.image for row in rows),
        tuple(row.patches for row in rows),
        bicubic,
        scores,
        image_figures(table, BICUBIC),
    )


def mean_scores(role: str, parts: Sequence[TestScores]) -> TestScores:
    """The mean of each picture over test sets of the same pictures. So the sample is the pictures,
    not pictures times sets."""

    def mean(values: Iterable[float]) -> float:
        return round(sum(values) / len(parts), 6)

    def image_means(
        tables: Sequence[Mapping[str, Sequence[float]]],
    ) -> dict[str, tuple[float, ...]]:
        return {
            metric: tuple(map(mean, zip(*(table[metric] for table in tables), strict=True)))
            for metric in tables[0]
        }

    first = parts[0]
    scores = {
        weights: image_means([part.scores[weights] for part in parts]) for weights in first.scores
    }
    bicubic = {metric: mean(part.bicubic[metric] for part in parts) for metric in first.bicubic}
    of_bicubic = image_means([part.bicubic_images for part in parts])
    return TestScores(role, first.images, first.patches, bicubic, scores, of_bicubic)


def primary_alone(scores: TestScores, primary: str) -> TestScores:
    """The primary figure of the averaged weights: all that is shown of a row of a matrix."""

    def kept(figures: Mapping[str, Value]) -> dict[str, Value]:
        return {primary: figures[primary]} if primary in figures else {}

    return replace(
        scores,
        bicubic=kept(scores.bicubic),
        scores={AVERAGED: kept(scores.scores[AVERAGED])},
        bicubic_images=kept(scores.bicubic_images),
    )


def image_figures(table: ScoreTable, method: str) -> dict[str, tuple[float, ...]]:
    rows = [row for row in table.rows if row.method == method]
    return {
        f"{protocol}.{metric}": tuple(round(row.scores[protocol][metric], 6) for row in rows)
        for protocol, metric in table.columns
    }
