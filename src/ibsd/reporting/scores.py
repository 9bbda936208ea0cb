"""Scores of `ibsd evaluate` as HTML tables: means, differences to the first network, how far chance
over the images moves them, and every image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ibsd.comparison.statistics import CONFIDENCE, bootstrap_interval
from ibsd.evaluation.scores import BICUBIC, ScoreTable
from ibsd.reporting import html
from ibsd.reporting.format import difference_text, is_better, metric_title, score_text

ABOUT_SCORES = (
    "Means over {images} images. Differences are on the same images, with the interval of a "
    f"bootstrap over them ({CONFIDENCE:.0%}): other images might move them so far. Another seed "
    "may move them further: ibsd compare trains several."
)
PER_IMAGE = ("basicsr-y", "psnr_y")
"""Protocol and metric that are shown for every image."""
FEWEST = 6
"""Images for a verdict: the signs of five can all be equal by chance, in 6 % of cases."""
WEIGHTED_PROTOCOL = "realsr-testm"
"""Its means weigh each image by its patches."""


def mean_rows(table: ScoreTable, shown: Iterable[tuple[str, str]]) -> list[list[str]]:
    """A row for each (protocol, metric) that was scored: its title and the mean of each method.
    Behind every mean but the first stands its difference to the first."""
    rows: list[list[str]] = []
    for protocol, metric in shown:
        if (protocol, metric) in table.columns:
            first, *others = (table.means[method][protocol][metric] for method in table.methods)
            cells = (
                f"{score_text(metric, score)} ({difference_text(metric, score - first)})"
                for score in others
            )
            rows.append([metric_title(metric), score_text(metric, first), *cells])
    return rows


def score_table(table: Mapping[str, Any]) -> str:
    """HTML from the content of scores.json: one line per metric and one column per method. From the
    second network on, a further column has its difference to the first network, with the interval.
    """
    methods = list(table["means"])
    first, *others = [method for method in methods if method != BICUBIC]
    per_image: dict[tuple[str, str, str], list[float]] = {}
    for row in table["rows"]:
        for protocol, metrics in row["scores"].items():
            for metric, value in metrics.items():
                per_image.setdefault((row["method"], protocol, metric), []).append(float(value))
    of_bicubic = [row for row in table["rows"] if row["method"] == BICUBIC]
    patches = np.array([row["patches"] for row in of_bicubic], dtype=float)
    lines: list[list[str]] = []
    for protocol, metrics in table["means"][BICUBIC].items():
        weights = patches if protocol == WEIGHTED_PROTOCOL else np.ones_like(patches)
        for metric in metrics:
            scores = {method: table["means"][method][protocol][metric] for method in methods}
            line = [f"{metric_title(metric)} ({protocol})"]
            line += [score_text(metric, float(score)) for score in scores.values()]
            reference = np.array(per_image[first, protocol, metric]) if others else patches
            for method in others:
                differences = np.array(per_image[method, protocol, metric]) - reference
                line.append(_difference(metric, differences, weights))
            lines.append(line)
    header = ["", *methods, *(f"{method} less {first}" for method in others)]
    about = html.paragraph(ABOUT_SCORES.format(images=table["images"]), "about")
    return about + html.table(header, lines) + _image_table(methods, per_image, table["rows"])


def _image_table(
    methods: Sequence[str],
    per_image: Mapping[tuple[str, str, str], Sequence[float]],
    rows: Sequence[Mapping[str, Any]],
) -> str:
    """PSNR-Y of every image, folded away."""
    columns = [per_image[method, *PER_IMAGE] for method in methods]
    names = [row["image"] for row in rows if row["method"] == BICUBIC]
    lines = [
        [name, *(score_text(PER_IMAGE[1], score) for score in scores)]
        for name, *scores in zip(names, *columns, strict=True)
    ]
    title = f"{metric_title(PER_IMAGE[1])} ({PER_IMAGE[0]}) of every image"
    return html.folded(title, html.table(("image", *methods), lines))


def _difference(
    metric: str, differences: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]
) -> str:
    if not np.isfinite(differences).all():
        return ""
    mean = float(differences @ weights / weights.sum())
    low, high = bootstrap_interval(differences[None], weights)
    # No verdict: these are single networks, and another seed may turn the sign round.
    verdict = ""
    if len(differences) >= FEWEST and not low <= 0 <= high:
        verdict = ", ahead here" if is_better(metric, mean) else ", behind here"
    texts = [difference_text(metric, value) for value in (mean, low, high)]
    return f"{texts[0]} ({texts[1]} to {texts[2]}{verdict})"
