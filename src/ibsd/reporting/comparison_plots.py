"""Plots of a comparison: differences with intervals, information planes, the course of training.

An arm has one colour in all of them, by its place in the outline; the baseline is always neutral.
"""

from __future__ import annotations

from collections.abc import Sequence

from ibsd.comparison.design import Design
from ibsd.comparison.results import Difference, History, Results
from ibsd.reporting.plots import (
    Drawing,
    Frame,
    Look,
    Panel,
    Series,
    information_plane,
    looks,
    svg_line,
    svg_text,
    ticks,
)
from ibsd.reporting.tables import primary_differences

LABEL_PX = 170
DIFFERENCES_PX = 470
ROW_PX = 22
HEAD_PX = 46
ROWS_FOOT_PX = 40
MARGIN_PX = 30
ARM_NOTES = {"treatment": "", "a/a": " (A/A)", "unpaired": " (unpaired)"}
COURSES = ("scale/", "gradient_share/", "gradient_cosine/", "soft_target/flipped")
"""Diagnostics whose course is shown: names, or the beginnings of names, in this order."""


def arm_looks(design: Design) -> dict[str, Look]:
    """Colours by the order of the outline. The baseline is neutral, and so is an A/A arm, which is
    the baseline again, dashed."""
    again = {arm: Look(None, 1) for arm, content in design.arms.items() if content.role == "a/a"}
    others = [arm for arm in design.arms if arm not in again]
    return looks(others, neutral=design.baseline) | again


def difference_plot(results: Results) -> Drawing:
    """The primary metric of the averaged weights, one panel per test set: a dot per arm, its t
    interval thick, its bootstrap interval thin, the noise floor as a band. A dot is filled where
    both intervals exclude zero."""
    design = results.design
    metric = results.design.primary
    unit = " (dB)" if ".psnr" in metric else ""
    caption = f"{metric}, arm less {design.baseline}{unit}"
    parts: list[str] = []
    top = 8
    for name, setting in design.settings.items():
        for test, role in setting.whole_tests().items():
            if rows := primary_differences(results, name, test):
                title = f"{name}: scored on {test} ({role})"
                parts.append(_test_set(title, rows, top, caption, arm_looks(design)))
                top += HEAD_PX + ROW_PX * len(rows) + ROWS_FOOT_PX
    body = "\n".join(parts) or svg_text(16, 24, "no differences yet")
    return Drawing(LABEL_PX + DIFFERENCES_PX + MARGIN_PX, max(top, 40), body)


def _test_set(
    title: str, rows: Sequence[Difference], top: int, caption: str, colours: dict[str, Look]
) -> str:
    low, high = _span(rows)
    rows_top = top + HEAD_PX
    height = ROW_PX * len(rows)
    frame = Frame(LABEL_PX, rows_top, DIFFERENCES_PX, height, (low, high))
    parts = [svg_text(12, top + 16, title, kind="strong")]
    if (floor := rows[0].noise_floor) is not None:
        wide = frame.x(floor) - frame.x(-floor)
        parts.append(
            f'<rect class="band" x="{frame.x(-floor):.1f}" y="{top + 28}" width="{wide:.1f}" '
            f'height="{frame.bottom - top - 28}"/>'
        )
        parts.append(svg_text(frame.x(0), top + 38, "noise floor", "middle", "small soft"))
    for tick in ticks(low, high, 6):
        if not low <= tick <= high:
            continue
        x = frame.x(tick)
        kind = "axis" if tick == 0 else "grid"
        parts.append(svg_line((x, x), (top + 42, frame.bottom), kind))
        parts.append(svg_text(x, frame.bottom + 14, f"{tick:+.3g}", "middle", "small"))
    middle = frame.left + frame.width / 2
    parts.append(svg_text(middle, frame.bottom + 29, caption, "middle", "small soft"))
    for index, row in enumerate(rows):
        y = rows_top + ROW_PX * index + ROW_PX // 2
        parts.append(_row(row, frame, y, colours[row.arm]))
    return "\n".join(parts)


def _span(rows: Sequence[Difference]) -> tuple[float, float]:
    """All that is drawn, zero among it, with a margin."""
    ends = [0.0]
    for row in rows:
        ends += [row.mean, *(row.t_interval or ()), *(row.bootstrap_interval or ())]
        ends += [row.noise_floor, -row.noise_floor] if row.noise_floor is not None else []
    margin = 0.06 * (max(ends) - min(ends)) or 0.01
    return min(ends) - margin, max(ends) + margin


def _row(row: Difference, frame: Frame, y: int, colour: Look) -> str:
    label = svg_text(LABEL_PX - 10, y + 4, row.arm + ARM_NOTES[row.kind], "end")
    lines = "".join(
        svg_line((frame.x(bounds[0]), frame.x(bounds[1])), (y, y), kind)
        for bounds, kind in ((row.bootstrap_interval, "thin"), (row.t_interval, "thick"))
        if bounds
    )
    kind = "dot" if row.verdict in ("better", "worse") else "hollow"
    dot = f'<circle class="{kind}" cx="{frame.x(row.mean):.1f}" cy="{y}" r="4"/>'
    return f'{label}<g class="{colour.css}">{lines}{dot}</g>'


def plane_panels(results: Results) -> list[Panel]:
    """The information plane of every arm and setting whose runs logged estimators; one path per
    link, told apart by dashes."""
    colours = arm_looks(results.design)
    panels: list[Panel] = []
    for history in results.histories:
        rows = [
            {name: values[k] for name, values in history.diagnostics.items()}
            for k in range(len(history.steps))
        ]
        if paths := information_plane(rows, colours[history.arm]):
            title = f"{history.arm} ({history.setting})"
            panels.append(Panel(title, paths, "log-likelihood", "bound"))
    return panels


def course_panels(results: Results) -> list[Panel]:
    """One panel per setting and diagnostic, one curve per arm."""
    colours = arm_looks(results.design)
    panels: list[Panel] = []
    for setting in results.design.settings:
        histories = [history for history in results.histories if history.setting == setting]
        for name in shown_diagnostics(histories):
            curves: list[Series] = []
            for history in histories:
                if name in history.diagnostics:
                    points = list(zip(history.steps, history.diagnostics[name], strict=True))
                    curves.append(Series(history.arm, points, colours[history.arm]))
            panels.append(Panel(f"{name} ({setting})", curves, "step", ""))
    return panels


def shown_diagnostics(histories: Sequence[History]) -> list[str]:
    """Names of the diagnostics that `COURSES` asks for, in its order."""
    names = sorted({name for history in histories for name in history.diagnostics})
    return [name for beginning in COURSES for name in names if name.startswith(beginning)]
