"""Scores of `ibsd evaluate` as a table: means, differences to the first network, and how far chance
over the pictures moves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ibsd.comparison.statistics import CONFIDENCE, bootstrap_interval
from ibsd.evaluation.scores import BICUBIC
from ibsd.reporting import html
from ibsd.reporting.format import better, described, figure, signed

ABOUT = (
    f"Means over {{images}} pictures. Differences on the same pictures, with the interval of a bootstrap over them ({CONFIDENCE:.0%}): it says "
    "how far other pictures might move them, not how far another seed would, for which ibsd compare trains several."
)


def score_table(table: Mapping[str, Any]) -> str:
    """HTML from the content of scores.json: a line per metric; each later method with its
    difference to bicubic and, from the second network on, to the first network with its interval.
    """
    methods = list(table["means"])
    networks = [method for method in methods if method != BICUBIC]
    per_image: dict[tuple[str, str, str], list[float]] = {}
    for row in table["rows"]:
        for protocol, metrics in row["scores"].items():
            for metric, value in metrics.items():
                per_image.setdefault((row["method"], protocol, metric), []).append(float(value))
    weights = np.array(
        [row["patches"] for row in table["rows"] if row["method"] == BICUBIC], dtype=float
    )
    lines = []
    for protocol, metrics in table["means"][BICUBIC].items():
        for metric in metrics:
            levels = {method: float(table["means"][method][protocol][metric]) for method in methods}
            line = [
                f"{described(metric)} ({protocol})",
                *(figure(metric, levels[method]) for method in methods),
            ]
            for method in networks[1:]:
                differences = np.array(per_image[method, protocol, metric]) - np.array(
                    per_image[networks[0], protocol, metric]
                )
                line.append(
                    _difference(
                        metric,
                        differences,
                        weights if protocol == "realsr-testm" else np.ones_like(weights),
                    )
                )
            lines.append(line)
    header = ["", *methods, *(f"{method} less {networks[0]}" for method in networks[1:])]
    return html.paragraph(ABOUT.format(images=table["images"]), "about") + html.table(header, lines)


def _difference(metric: str, differences: np.ndarray, weights: np.ndarray) -> str:
    if not np.isfinite(differences).all():
        return ""
    mean = float(differences @ weights / weights.sum())
    low, high = bootstrap_interval(differences[None], weights)
    said = "" if low <= 0 <= high else ", better" if better(metric, mean) else ", worse"
    return f"{signed(metric, mean)} ({signed(metric, low)} to {signed(metric, high)}{said})"
