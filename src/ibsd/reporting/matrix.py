"""Matrices of scores: which network holds up on which camera or degradation, as a coloured table
and as a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ibsd.comparison.results import Results
from ibsd.evaluation.scores import BICUBIC
from ibsd.reporting import html
from ibsd.reporting.format import bare_metric, is_better, metric_decimals, metric_title
from ibsd.reporting.plots import Drawing, svg_text
from ibsd.system import finite_or_none
from ibsd.training.result import AVERAGED
from ibsd.types import LOWER_IS_BETTER

CELL_PX = 104
ROW_PX = 26
LABEL_PX = 170
HEAD_PX = 46
CHARACTER_PX = 6.2


Cell = tuple[str, float | None]
"""A figure as text, and its strength; None for a figure without a colour."""


@dataclass(frozen=True)
class Matrix:
    """Differences to one method. Methods are rows and tests are columns, or the other way round."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[float | None]]
    """Figures, row by row; None for no figure."""
    decimals: int = 2
    lower_is_better: bool = False
    levels: Mapping[str, Sequence[float | None]] = field(
        default_factory=dict[str, Sequence[float | None]]
    )
    """Rows above the others, without sign and colour: {name: a figure per column}."""

    def strength(self, value: float) -> float:
        """How far from 0 among all cells, -1 (loss) to 1 (gain)."""
        known = (abs(cell) for row in self.cells for cell in row if cell is not None)
        largest = max(known, default=0.0)
        return (-value if self.lower_is_better else value) / largest if largest else 0.0

    def lines(self) -> Iterator[tuple[str, list[Cell | None]]]:
        """The name and the cells of every row, levels first."""
        for name, values in self.levels.items():
            yield name, [None if x is None else (f"{x:.{self.decimals}f}", None) for x in values]
        for name, values in zip(self.rows, self.cells, strict=True):
            yield (
                name,
                [
                    None if x is None else (f"{x:+.{self.decimals}f}", self.strength(x))
                    for x in values
                ],
            )


def matrix_table(matrix: Matrix) -> str:
    """The matrix as an HTML table: readable aloud, coloured behind the figures."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in matrix.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_table_cell, cells))}</tr>'
        for name, cells in matrix.lines()
    )
    return (
        f'{html.SCROLL}<table class="matrix"><caption>{escape(matrix.title)}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _table_cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td></td>"
    text, strength = cell
    if strength is None:
        return f"<td>{text}</td>"
    style = f"--strength: {abs(strength):.2f}"
    return f'<td class="{_kind(strength)}" style="{style}">{text}</td>'


def _kind(strength: float) -> str:
    return "gain" if strength > 0 else "loss"


def matrix_drawing(matrix: Matrix) -> Drawing:
    """The matrix as a drawing, for Markdown pages."""
    longest = max(map(len, (*matrix.rows, *matrix.levels)))
    label = max(LABEL_PX, round(CHARACTER_PX * longest) + 24)
    width = max(CELL_PX, round(CHARACTER_PX * max(map(len, matrix.columns))) + 16)
    parts = [svg_text(12, 24, matrix.title, kind="strong")]
    for column, name in enumerate(matrix.columns):
        parts.append(svg_text(label + width * (column + 0.5), HEAD_PX + 12, name, "middle"))
    top = HEAD_PX + 26
    for name, cells in matrix.lines():
        parts.append(svg_text(label - 10, top + 17, name, "end"))
        parts += [
            _drawn_cell(*cell, label + width * column, top, width)
            for column, cell in enumerate(cells)
            if cell
        ]
        top += ROW_PX
    return Drawing(label + width * len(matrix.columns) + 16, top + 16, "\n".join(parts))


def _drawn_cell(text: str, strength: float | None, left: int, top: int, width: int) -> str:
    label = svg_text(left + width / 2, top + 17, text, "middle")
    if strength is None:
        return label
    return (
        f'<rect class="{_kind(strength)}" x="{left + 1}" y="{top + 1}" width="{width - 2}" '
        f'height="{ROW_PX - 2}" rx="3" fill-opacity="{0.42 * abs(strength):.2f}"/>{label}'
    )


Place = tuple[str, str]
"""Setting and test set."""


def camera_matrix(results: Results) -> Matrix:
    """Gain over bicubic of every arm, a row each, on every set of pictures, by what was trained on:
    the primary figure, averaged weights."""
    design = results.design
    settings = design.settings.items()
    places = [(setting, test) for setting, content in settings for test in content.whole_tests()]
    gains = paired_gains(results, BICUBIC)
    bicubic = primary_levels(results, BICUBIC)
    rows = [arm for arm in design.arms if any((place, arm) in gains for place in places)]
    columns = [
        f"{f'{setting}: ' if len(design.settings) > 1 else ''}{test} "
        f"({design.settings[setting].tests[test]})"
        for setting, test in places
    ]
    title = f"{metric_title(design.primary)}: gain over bicubic"
    cells = [[gains.get((place, arm)) for place in places] for arm in rows]
    levels = {BICUBIC: [bicubic.get((place, BICUBIC)) for place in places]}
    return _matrix(design.primary, title, rows, columns, cells, levels)


def family_matrices(results: Results) -> list[Matrix]:
    """Of every test set that is a mean over degradations: a row per degradation, a column per arm,
    against bicubic and against the baseline; the primary figure, averaged weights."""
    design = results.design
    matrices: list[Matrix] = []
    for setting, content in design.settings.items():
        for whole in dict.fromkeys(content.parts.values()):
            tests = [part for part, mean in content.parts.items() if mean == whole]
            for against in (BICUBIC, design.baseline):
                gains = paired_gains(results, against)
                arms = [
                    arm
                    for arm in design.arms
                    if any(((setting, test), arm) in gains for test in tests)
                ]
                if not arms:
                    continue
                title = (
                    f"{metric_title(design.primary)} under each degradation of {whole} "
                    f"({content.tests[whole]}), less {against}"
                )
                names = [test.removeprefix(f"{whole}/") for test in tests]
                cells = [[gains.get(((setting, test), arm)) for arm in arms] for test in tests]
                matrices.append(_matrix(design.primary, title, names, arms, cells))
    return matrices


def _matrix(
    metric: str,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[float | None]],
    levels: Mapping[str, Sequence[float | None]] | None = None,
) -> Matrix:
    """A matrix with the metric's decimals and direction."""
    lower = bare_metric(metric) in LOWER_IS_BETTER
    return Matrix(title, rows, columns, cells, metric_decimals(metric), lower, levels or {})


def primary_levels(results: Results, weights: str) -> dict[tuple[Place, str], float]:
    """{(place, arm): mean} of the primary figure."""
    return {
        ((score.setting, score.test), score.arm): score.mean
        for score in results.mean_scores
        if (score.metric, score.weights) == (results.design.primary, weights)
    }


def below_bicubic(results: Results, setting: str, test: str) -> bool:
    """Whether every arm is worse than bicubic on a test set, in the primary figure; False where
    bicubic was not scored."""
    place = (setting, test)
    bicubic = primary_levels(results, BICUBIC).get((place, BICUBIC))
    levels = primary_levels(results, AVERAGED)
    arms = [level for (scored, _), level in levels.items() if scored == place]
    metric = results.design.primary
    return bicubic is not None and bool(arms) and all(is_better(metric, bicubic - x) for x in arms)


def paired_gains(results: Results, against: str) -> dict[tuple[Place, str], float]:
    """{(place, arm): gain over the baseline, or over bicubic}.

    The gain over bicubic is the baseline's own gain plus the difference to the baseline over the
    seeds that both have. Mean scores of arms with other seeds cannot be subtracted: the difference
    would be that of the seeds.
    """
    design = results.design
    levels = primary_levels(results, AVERAGED)
    own = {place: 0.0 for place, arm in levels if arm == design.baseline}
    gains: dict[tuple[Place, str], float] = {}
    if against == BICUBIC:
        bicubic = primary_levels(results, BICUBIC)
        own = {place: levels[place, design.baseline] - bicubic[place, BICUBIC] for place in own}
        gains = {(place, design.baseline): gain for place, gain in own.items()}
    for row in results.differences:
        if (row.metric, row.weights) == (design.primary, AVERAGED):
            gains[(row.setting, row.test), row.arm] = own[row.setting, row.test] + row.mean
    return gains


def degradation_matrices(means: Mapping[str, Mapping[str, Any]]) -> list[Matrix]:
    """From {family: {method: {protocol: {metric: mean}}}}, as in matrix.json: a row per family, a
    column per method, PSNR-Y and, where it is known, LPIPS; differences to bicubic.
    """
    methods = [method for method in next(iter(means.values())) if method != BICUBIC]
    matrices: list[Matrix] = []
    for protocol, metric in (("basicsr-y", "psnr_y"), ("ibsd-cdc", "lpips")):
        if not all(metric in family[BICUBIC].get(protocol, {}) for family in means.values()):
            continue
        cells = [
            [
                finite_or_none(
                    float(family[method][protocol][metric])
                    - float(family[BICUBIC][protocol][metric])
                )
                for method in methods
            ]
            for family in means.values()
        ]
        title = f"{metric_title(metric)}: difference to bicubic under each degradation"
        matrices.append(_matrix(metric, title, list(means), methods, cells))
    return matrices
