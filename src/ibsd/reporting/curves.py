"""Curves as inline SVG: no script, no file, colours from the page's style so that they follow light
and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 400, 236
LEFT, RIGHT, TOP, BOTTOM = 57, 16, 10, 44
NUM_COLOURS = 5
"""The page defines --series-0, --series-1, ...; a sixth curve takes the first colour again,
dashed."""
DASHES = ("none", "6 4", "2 3")
LINE_STYLES = ("solid", "dashed", "dotted")
"""The legend's words for the dashes."""


@dataclass(frozen=True)
class Series:
    """One curve: a name for the legend and points (x, y); points that are not finite are left
    out."""

    name: str
    points: Sequence[tuple[float, float | None]]


def chart(
    title: str, series: Iterable[Series], caption: str = "", unit: str = "", across: str = "steps"
) -> str:
    """A figure with a title, curves over a common scale, a legend if there are several, and a
    caption in plain words; `across` is the x axis.

    A series without a point is left out and keeps its colour. Returns "" when there is not a single
    point to draw.
    """
    drawn = [
        (colour, entry.name, points)
        for colour, entry in enumerate(series)
        if (points := _finite(entry.points))
    ]
    if not drawn:
        return ""
    everything = [point for _, _, points in drawn for point in points]
    xs, ys = [x for x, _ in everything], [y for _, y in everything]
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    x_low, x_high = min(xs), max(max(xs), min(xs) + 1e-9)
    y_low, y_high = min(y_ticks[0], min(ys)), max(y_ticks[-1], max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        right, up = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return LEFT + right * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in y_ticks:
        _, y = place(x_low, tick)
        kind = "grid zero" if tick == 0 and y_low < 0 else "grid"
        parts.append(
            f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4.5:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    for tick in x_ticks:
        if x_low <= tick <= x_high:
            x, _ = place(tick, y_low)
            parts.append(
                f'<text x="{x:.1f}" y="{HEIGHT - 24}" text-anchor="middle">{number(tick)}</text>'
            )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(across)}</text>'
    )
    for colour, name, points in drawn:
        placed = [place(x, y) for x, y in points]
        last_x, last_y = placed[-1]
        parts.append(
            f'<g style="{_style(colour)}"><title>{escape(name)}: {number(points[-1][1])} at the end</title>'
        )
        parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in placed)}"/>')
        parts.append(f'<circle cx="{last_x:.1f}" cy="{last_y:.1f}" r="3"/></g>')
    legend = ""
    if len(drawn) > 1:
        items = (
            f'<li style="{_style(colour)}">{escape(name)} <b>{number(points[-1][1])}</b></li>'
            for colour, name, points in drawn
        )
        legend = f'<ul class="legend">{"".join(items)}</ul>'
    said = escape(f"{title}, {unit}" if unit else title)
    end = (
        ""
        if len(drawn) > 1
        else f' <b class="end" style="color: var(--series-{drawn[0][0] % NUM_COLOURS})">{number(drawn[0][2][-1][1])}</b>'
    )
    about = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    aloud = "; ".join(
        f"{escape(name)} from {number(points[0][1])} to {number(points[-1][1])}"
        for _, name, points in drawn
    )
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said} over {escape(across)}: {aloud}">{"".join(parts)}</svg>'
    return f'<figure class="chart"><h3>{said}{end}</h3>{legend}{svg}{about}</figure>'


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that span low to high.

    Example: ticks(0.1, 0.9) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / apart + 1e-9), math.ceil(high / apart - 1e-9)
    return [round(step * apart, 12) for step in range(first, last + 1)]


def number(value: float) -> str:
    """As short as it can be read: 12000 -> "12k", 0.05 -> "0.05", 0.00002 -> "2e-5"."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:.4g}k" if abs(value) < 1e6 else f"{value / 1e6:.4g}M"
    if abs(value) < 1e-3:
        mantissa, exponent = (
            f"{value:.2g}".split("e") if "e" in f"{value:.2g}" else f"{value:.1e}".split("e")
        )
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}"


def _style(colour: int) -> str:
    dash = colour // NUM_COLOURS % len(DASHES)
    return f"--colour: var(--series-{colour % NUM_COLOURS}); --dash: {DASHES[dash]}; --line-style: {LINE_STYLES[dash]}"


def _finite(points: Sequence[tuple[float, float | None]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if y is not None and math.isfinite(y)]
