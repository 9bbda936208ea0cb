"""Matrices of scores: which network holds up on which camera or degradation, as a coloured table
and as a drawing that stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ibsd.comparison.results import Results
from ibsd.comparison.run import AVERAGED
from ibsd.evaluation.scores import BICUBIC
from ibsd.reporting import html
from ibsd.reporting.format import LOWER_IS_BETTER, described

GAIN, LOSS = "#1a7f37", "#b42318"
CELL_PX, ROW_PX, LABEL_PX, HEAD_PX, CHARACTER_PX = 104, 26, 170, 46, 6.2


@dataclass(frozen=True)
class Matrix:
    """Differences to something common, a row each for what is tested or a method, a column for the
    other."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[float | None]]
    """Rows of figures; None where there is none."""
    decimals: int = 2
    lower_is_better: bool = False
    levels: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Further rows that are shown as they are, uncoloured, first: {name: a figure per column}."""

    def strength(self, value: float) -> float:
        """How far from 0 among all cells, -1 (loss) to 1 (gain)."""
        largest = max(
            (abs(cell) for row in self.cells for cell in row if cell is not None), default=0.0
        )
        return (-value if self.lower_is_better else value) / largest if largest else 0.0


def matrix_table(matrix: Matrix) -> str:
    """The matrix as a table: readable aloud, coloured behind the figures."""

    def cell(value: float | None) -> str:
        if value is None:
            return "<td></td>"
        strength = matrix.strength(value)
        kind = "gain" if strength > 0 else "loss"
        return f'<td class="{kind}" style="--strength: {abs(strength):.2f}">{value:+.{matrix.decimals}f}</td>'

    def level(value: float | None) -> str:
        return f"<td>{'' if value is None else f'{value:.{matrix.decimals}f}'}</td>"

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in matrix.columns)
    lines = [
        *(
            f'<tr><th scope="row">{escape(name)}</th>{"".join(map(level, row))}</tr>'
            for name, row in matrix.levels.items()
        ),
        *(
            f'<tr><th scope="row">{escape(name)}</th>{"".join(map(cell, row))}</tr>'
            for name, row in zip(matrix.rows, matrix.cells, strict=True)
        ),
    ]
    return (
        f'{html.SCROLL}<table class="matrix"><caption>{escape(matrix.title)}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def matrix_svg(matrix: Matrix) -> str:
    """The matrix as a file that stands alone, for Markdown pages."""
    label = max(LABEL_PX, round(CHARACTER_PX * max(map(len, (*matrix.rows, *matrix.levels)))) + 24)
    cell = max(CELL_PX, round(CHARACTER_PX * max(map(len, matrix.columns))) + 16)
    width = label + cell * len(matrix.columns) + 16
    height = HEAD_PX + 30 + ROW_PX * (len(matrix.levels) + len(matrix.rows)) + 12
    parts = [f'<text x="12" y="24" font-weight="600">{escape(matrix.title)}</text>']
    for column, name in enumerate(matrix.columns):
        parts.append(_text(label + cell * (column + 0.5), HEAD_PX + 12, name))
    top = HEAD_PX + 26
    for name, row in matrix.levels.items():
        parts.append(_text(label - 10, top + 17, name, "end"))
        parts += [
            _text(label + cell * (k + 0.5), top + 17, f"{value:.{matrix.decimals}f}")
            for k, value in enumerate(row)
            if value is not None
        ]
        top += ROW_PX
    for name, row in zip(matrix.rows, matrix.cells, strict=True):
        parts.append(_text(label - 10, top + 17, name, "end"))
        for column, value in enumerate(row):
            if value is None:
                continue
            strength, left = matrix.strength(value), label + cell * column
            colour = GAIN if strength > 0 else LOSS
            parts.append(
                f'<rect x="{left + 1}" y="{top + 1}" width="{cell - 2}" height="{ROW_PX - 2}" rx="3" fill="{colour}" '
                f'fill-opacity="{0.42 * abs(strength):.2f}"/>'
            )
            parts.append(_text(left + cell / 2, top + 17, f"{value:+.{matrix.decimals}f}"))
        top += ROW_PX
    style = "font-family:system-ui,sans-serif;font-size:12px;fill:#1d2939"
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" style="{style}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


Place = tuple[str, str]
"""Setting and test set."""


def camera_matrix(results: Results) -> Matrix:
    """Gain over bicubic of every arm, a row each, on every set of pictures, by what was trained on:
    the primary figure, averaged weights."""
    design = results.design
    places = [
        (setting, test)
        for setting, content in design.settings.items()
        for test in content.whole_tests()
    ]
    gains, bicubic = paired_gains(results, BICUBIC), primary_levels(results, BICUBIC)
    rows = [arm for arm in design.arms if any((place, arm) in gains for place in places)]
    cells = [[gains.get((place, arm)) for place in places] for arm in rows]
    metric = design.primary.split(".")[-1]
    several = len(design.settings) > 1
    columns = [
        f"{f'{setting}: ' if several else ''}{test} ({design.settings[setting].tests[test]})"
        for setting, test in places
    ]
    levels = {BICUBIC: [bicubic.get((place, BICUBIC)) for place in places]}
    return Matrix(
        f"{described(metric)}: gain over bicubic",
        rows,
        columns,
        cells,
        _decimals(metric),
        metric in LOWER_IS_BETTER,
        levels,
    )


def family_matrices(results: Results) -> list[Matrix]:
    """Of every test set that is a mean over degradations: a row per degradation, a column per arm,
    against bicubic and against the baseline; the primary figure, averaged weights."""
    design = results.design
    metric = design.primary.split(".")[-1]
    matrices = []
    for setting, content in design.settings.items():
        for whole in dict.fromkeys(content.parts.values()):
            rows = [part for part, mean in content.parts.items() if mean == whole]
            for against in (BICUBIC, design.baseline):
                gains = paired_gains(results, against)
                arms = [
                    arm
                    for arm in design.arms
                    if any(((setting, row), arm) in gains for row in rows)
                ]
                cells = [[gains.get(((setting, row), arm)) for arm in arms] for row in rows]
                title = f"{described(metric)} under each degradation of {whole} ({content.tests[whole]}), less {against}"
                names = [row.removeprefix(f"{whole}/") for row in rows]
                if arms:
                    matrices.append(
                        Matrix(
                            title, names, arms, cells, _decimals(metric), metric in LOWER_IS_BETTER
                        )
                    )
    return matrices


def primary_levels(results: Results, weights: str) -> dict[tuple[Place, str], float]:
    """{(place, arm): mean} of the primary figure."""
    primary = (
        each
        for each in results.mean_scores
        if (each.metric, each.weights) == (results.design.primary, weights)
    )
    return {((each.setting, each.test), each.arm): each.mean for each in primary}


def paired_gains(results: Results, against: str) -> dict[tuple[Place, str], float]:
    """{(place, arm): gain over the baseline, or over bicubic}: the difference to the baseline over
    the seeds that both have, on top of the baseline's own gain. Levels of arms with other seeds
    cannot be subtracted: the difference would be the seeds'.
    """
    design = results.design
    own = {place: 0.0 for place, arm in primary_levels(results, AVERAGED) if arm == design.baseline}
    gains: dict[tuple[Place, str], float] = {}
    if against == BICUBIC:
        bicubic, levels = primary_levels(results, BICUBIC), primary_levels(results, AVERAGED)
        own = {place: levels[place, design.baseline] - bicubic[place, BICUBIC] for place in own}
        gains = {(place, design.baseline): gain for place, gain in own.items()}
    for each in results.differences:
        if (each.metric, each.weights) == (design.primary, AVERAGED):
            gains[(each.setting, each.test), each.arm] = own[each.setting, each.test] + each.mean
    return gains


def degradation_matrices(means: Mapping[str, Mapping[str, Any]]) -> list[Matrix]:
    """From {family: {method: {protocol: {metric: mean}}}}, as in matrix.json: a row per family, a
    column per method, PSNR-Y and, if there, LPIPS; differences to bicubic.
    """
    methods = [method for method in next(iter(means.values())) if method != BICUBIC]
    matrices = []
    for protocol, metric in (("basicsr-y", "psnr_y"), ("ibsd-cdc", "lpips")):
        if not all(metric in family[BICUBIC].get(protocol, {}) for family in means.values()):
            continue
        cells = [
            [
                float(family[method][protocol][metric]) - float(family[BICUBIC][protocol][metric])
                for method in methods
            ]
            for family in means.values()
        ]
        title = f"{described(metric)}: difference to bicubic under each degradation"
        matrices.append(
            Matrix(title, list(means), methods, cells, _decimals(metric), metric in LOWER_IS_BETTER)
        )
    return matrices


def _decimals(metric: str) -> int:
    return 2 if metric.startswith("psnr") else 4
