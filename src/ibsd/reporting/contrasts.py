"""Tables of contrasts: one arm less another, of one comparison or of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ibsd.comparison.results import Difference, Results
from ibsd.comparison.run import AVERAGED
from ibsd.reporting.document import Table
from ibsd.reporting.format import PAIRED_DECIMALS, difference_text, interval_text
from ibsd.reporting.tables import verdict_text

SHORT_VERDICTS = {"better": "ahead", "worse": "behind", "no difference shown": "not shown"}
"""How the table over several comparisons calls them."""


def contrast_table(results: Results) -> Table:
    """The contrasts of a comparison in its primary figure, one row each; no rows without any. Arms
    that are contrasted have their difference to the baseline beside it."""
    contrasted = {(row.setting, row.test, row.arm) for row in results.contrasts}
    shown = [
        row for row in primary_contrasts(results) if (row.setting, row.test, row.arm) in contrasted
    ]
    order = list(results.design.settings)
    shown.sort(key=lambda row: (order.index(row.setting), f"{row.test} ({row.role})"))
    rows = [
        [
            f"{row.setting}: {row.test} ({row.role})",
            f"{row.arm} less {row.against}",
            str(row.num_seeds),
            *_figures(row),
            verdict_text(row),
        ]
        for row in shown
    ]
    header = ["scored on", "contrast", "seeds", "difference", "t interval", "bootstrap", "reading"]
    return Table(header, rows)


def primary_contrasts(results: Results) -> list[Difference]:
    """Every difference in the primary metric of the averaged weights: to the baseline, then to
    other arms."""
    return [
        row
        for row in (*results.differences, *results.contrasts)
        if (row.metric, row.weights) == (results.design.primary, AVERAGED)
    ]


def _figures(row: Difference) -> list[str]:
    return [
        difference_text(row.metric, row.mean, PAIRED_DECIMALS),
        interval_text(row.metric, row.t_interval, PAIRED_DECIMALS),
        interval_text(row.metric, row.bootstrap_interval, PAIRED_DECIMALS),
    ]


@dataclass(frozen=True)
class ScoredOn:
    """One test set of one comparison, and how its contrasts are called."""

    title: str
    comparison: str
    setting: str
    test: str
    contrasts: Mapping[str, tuple[str, str]]
    """{name in the table: (arm, arm that is subtracted)}, in the order of the table."""


def table_of_all(tested: Iterable[ScoredOn], results: Mapping[str, Results]) -> Table:
    """The contrasts of several comparisons. In brackets behind the verdict stands the smallest
    difference that the design could have shown.

    Args:
        results: by name of the comparison. KeyError for a contrast that was not made.
    """
    rows: list[list[str]] = []
    for place in tested:
        known = {
            (row.setting, row.test, row.arm, row.against): row
            for row in primary_contrasts(results[place.comparison])
        }
        for index, (name, (arm, against)) in enumerate(place.contrasts.items()):
            row = known[place.setting, place.test, arm, against]
            smallest = row.smallest_detectable
            reading = SHORT_VERDICTS.get(row.verdict, row.verdict)
            reading += "" if smallest is None else f" ({smallest:.2f})"
            title = "" if index else place.title
            rows.append([title, name, str(row.num_seeds), *_figures(row), reading])
    header = ["comparison", "contrast", "seeds", "difference", "t interval", "bootstrap"]
    return Table([*header, "reading (smallest)"], rows)
