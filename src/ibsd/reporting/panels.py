"""Small plots side by side in one SVG file that stands alone: for Markdown pages, which cannot give
a picture its colours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from ibsd.reporting.curves import Series, number, ticks

PANEL_PX, PLOT_PX, LEFT_PX, TOP_PX, FOOT_PX, LEGEND_ROW_PX = 330, 190, 52, 30, 36, 15
COLOURS = ("#1570cd", "#d9480f", "#1a7f37", "#8250df", "#b42381", "#0e7c86", "#946100", "#475467")
DASHES = ("", "5 3", "1.5 3")
"""Told apart by these once the colours have been through."""


@dataclass(frozen=True)
class Panel:
    """One plot; every curve ends in a dot."""

    title: str
    series: Sequence[Series]
    across: str
    """What the x axis shows."""
    up: str
    names: Sequence[str] = ()
    """Names of x = 0, 1, 2, ... where x is no quantity."""


def panels_svg(panels: Iterable[Panel], columns: int = 3) -> str:
    """The panels in rows of `columns`, each with its own axes and legend; those without a finite
    point are left out. "" without any."""
    drawn = [
        (panel, kept)
        for panel in panels
        if (kept := [(each.name, points) for each in panel.series if (points := finite(each))])
    ]
    if not drawn:
        return ""
    parts, top = [], 8
    for start in range(0, len(drawn), columns):
        row = drawn[start : start + columns]
        for column, (panel, series) in enumerate(row):
            parts.append(
                f'<g transform="translate({column * PANEL_PX} {top})">{_panel(panel, series)}</g>'
            )
        top += (
            TOP_PX
            + PLOT_PX
            + FOOT_PX
            + LEGEND_ROW_PX * max(math.ceil(len(series) / 2) for _, series in row)
            + 14
        )
    width = PANEL_PX * min(columns, len(drawn))
    style = "font-family:system-ui,sans-serif;font-size:11px;fill:#1d2939"
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" style="{style}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def finite(series: Series) -> list[tuple[float, float]]:
    return [
        (x, y) for x, y in series.points if y is not None and math.isfinite(x) and math.isfinite(y)
    ]


def _panel(panel: Panel, series: Sequence[tuple[str, list[tuple[float, float]]]]) -> str:
    xs, ys = (
        [x for _, points in series for x, _ in points],
        [y for _, points in series for _, y in points],
    )
    x_ticks = list(range(len(panel.names))) if panel.names else ticks(min(xs), max(xs), 4)
    y_ticks = ticks(min(ys), max(ys))
    x_low, x_high, y_low, y_high = x_ticks[0], x_ticks[-1], y_ticks[0], y_ticks[-1]
    wide, bottom = PANEL_PX - LEFT_PX - 18, TOP_PX + PLOT_PX

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT_PX + wide * (x - x_low) / ((x_high - x_low) or 1), bottom - PLOT_PX * (
            y - y_low
        ) / (y_high - y_low)

    parts = [f'<text x="{LEFT_PX}" y="18" font-weight="600">{escape(panel.title)}</text>']
    for tick in y_ticks:
        _, y = place(x_low, tick)
        line = 'stroke="#98a2b3"' if tick == 0 else 'stroke="#e4e7ec"'
        parts.append(
            f'<line x1="{LEFT_PX}" x2="{LEFT_PX + wide}" y1="{y:.1f}" y2="{y:.1f}" {line}/>'
        )
        parts.append(
            f'<text x="{LEFT_PX - 5}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    for tick in x_ticks:
        x, _ = place(tick, y_low)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}" stroke="#98a2b3"/>'
        )
        said = escape(panel.names[int(tick)]) if panel.names else number(tick)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{said}</text>')
    parts.append(
        f'<text x="{LEFT_PX + wide / 2:.0f}" y="{bottom + 30}" text-anchor="middle" fill="#667085">{escape(panel.across)}</text>'
    )
    parts.append(
        f'<text transform="translate(11 {TOP_PX + PLOT_PX // 2}) rotate(-90)" text-anchor="middle" fill="#667085">{escape(panel.up)}</text>'
    )
    for index, (name, points) in enumerate(series):
        placed = [place(x, y) for x, y in points]
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
        stroke = f'fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}"'
        parts.append(
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in placed)}" {stroke}/>'
        )
        parts.append(
            f'<circle cx="{placed[-1][0]:.1f}" cy="{placed[-1][1]:.1f}" r="2.6" fill="{colour}"/>'
        )
        x, y = (
            LEFT_PX + (index % 2) * (wide // 2),
            bottom + FOOT_PX + 10 + LEGEND_ROW_PX * (index // 2),
        )
        parts.append(
            f'<line x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}" {stroke}/><text x="{x + 23}" y="{y}">{escape(name)}</text>'
        )
    return "".join(parts)
