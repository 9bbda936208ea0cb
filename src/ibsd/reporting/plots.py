"""Plots as SVG, for pages and for files that stand alone. Both follow light and dark.

A curve's colour is a class of `plot.css`. Files carry that style inside them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

PLOT_STYLE = Path(__file__).with_name("plot.css")
NUM_COLOURS = 10
DASHES = ("", "6 4", "2 3", "9 3 2 3")
LINE_STYLES = ("solid", "dashed", "dotted", "double")
"""The legend's CSS border for each dash."""

PANEL_PX = 330
PLOT_PX = 190
"""Width of a panel with its labels, and height of its plot without them."""
LEFT_PX = 54
RIGHT_PX = 16
TOP_PX = 30
FOOT_PX = 36
LEGEND_ROW_PX = 15
CHART_TOP_PX = 10
"""Above the plot of a chart, whose title stands outside of it."""


@dataclass(frozen=True)
class Look:
    """How a curve is drawn: a colour by number, or the neutral one; a dash by number."""

    colour: int | None = None
    dash: int = 0

    @property
    def css(self) -> str:
        """The class that gives the colour."""
        return "neutral" if self.colour is None else f"series-{self.colour}"


def look(index: int) -> Look:
    """The look of the curve with this index: colours first, then the same colours dashed."""
    return Look(index % NUM_COLOURS, index // NUM_COLOURS % len(DASHES))


def looks(names: Iterable[str], neutral: str = "") -> dict[str, Look]:
    """A look for each name, by order. The name `neutral`, such as the baseline's, has no colour.

    Example: looks(["plain", "ibsd"], "plain") == {"plain": Look(None), "ibsd": Look(0)}
    """
    coloured = [name for name in dict.fromkeys(names) if name != neutral]
    assigned = {name: look(index) for index, name in enumerate(coloured)}
    return {neutral: Look()} | assigned if neutral else assigned


@dataclass(frozen=True)
class Series:
    """One curve: a name for the legend, and points (x, y). Points that are not finite are left
    out. Without a look of its own a curve takes the one of its place in the plot."""

    name: str
    points: Sequence[tuple[float, float | None]]
    look: Look | None = None

    def finite(self) -> list[tuple[float, float]]:
        known = [(x, y) for x, y in self.points if y is not None]
        return [(x, y) for x, y in known if math.isfinite(x) and math.isfinite(y)]


@dataclass(frozen=True)
class Panel:
    """One plot with its labels. Every curve ends in a dot."""

    title: str
    series: Sequence[Series]
    across: str
    """Label of the x axis."""
    up: str
    """Label of the y axis."""
    names: Sequence[str] = ()
    """Names of x = 0, 1, 2, ... where x is not a quantity."""


@dataclass(frozen=True)
class Drawing:
    """An SVG picture: as a file, or inside a page."""

    width: int
    height: int
    body: str

    def standalone(self) -> str:
        """The file's text, with its style and a ground of paper."""
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" {size} height="{self.height}">\n'
            f"<style>\n{PLOT_STYLE.read_text(encoding='utf-8')}</style>\n"
            f'<rect class="paper" width="100%" height="100%"/>\n{self.body}\n</svg>\n'
        )

    def inline(self, alt: str, style: str = "") -> str:
        """The element for a page that has `plot.css`."""
        styled = f' style="{style}"' if style else ""
        return (
            f'<svg class="plot" viewBox="0 0 {self.width} {self.height}"{styled} role="img" '
            f'aria-label="{escape(alt)}">{self.body}</svg>'
        )


@dataclass(frozen=True)
class Frame:
    """The rectangle of a plot in pixels, and the ranges of x and y that it shows."""

    left: float
    top: float
    width: float
    height: float
    x_range: tuple[float, float]
    y_range: tuple[float, float] = (0.0, 1.0)

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + self.width * (value - low) / ((high - low) or 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.bottom - self.height * (value - low) / ((high - low) or 1)


def svg_text(
    x: float,
    y: float,
    content: str,
    anchor: Literal["start", "middle", "end"] = "start",
    kind: str = "",
    transform: str = "",
) -> str:
    """A text element; `kind` is its class."""
    marks = f' class="{kind}"' if kind else ""
    marks += f' text-anchor="{anchor}"' if anchor != "start" else ""
    marks += f' transform="{transform}"' if transform else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{marks}>{escape(content)}</text>'


def svg_line(x: tuple[float, float], y: tuple[float, float], kind: str, dash: str = "") -> str:
    """A line from (x[0], y[0]) to (x[1], y[1])."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x[0]:.1f}" x2="{x[1]:.1f}" y1="{y[0]:.1f}" y2="{y[1]:.1f}"'
    return f'<line class="{kind}" {ends}{dashed}/>'


def panels_drawing(panels: Iterable[Panel]) -> Drawing | None:
    """The panels in rows of three, each with its own axes and legend. A panel without a finite
    point is left out; None if all are."""
    columns = 3
    shown = [panel for panel in panels if _curves(panel.series)]
    if not shown:
        return None
    parts: list[str] = []
    top = 8
    for start in range(0, len(shown), columns):
        row = shown[start : start + columns]
        for column, panel in enumerate(row):
            place = f"translate({column * PANEL_PX} {top})"
            parts.append(f'<g transform="{place}">{_panel(panel)}</g>')
        legend_rows = max(math.ceil(len(_curves(panel.series)) / 2) for panel in row)
        top += TOP_PX + PLOT_PX + FOOT_PX + LEGEND_ROW_PX * legend_rows + 14
    return Drawing(PANEL_PX * min(columns, len(shown)), top, "\n".join(parts))


def chart(panel: Panel, caption: str = "") -> str:
    """HTML of one panel: a figure with title, legend and caption outside of the drawing, so that
    they keep their size on a phone. "" without a finite point."""
    curves = _curves(panel.series)
    if not curves:
        return ""
    title = f"{panel.title}, {panel.up}" if panel.up else panel.title
    ends = {name: short_number(points[-1][1]) for name, points, _ in curves}
    end = legend = ""
    if len(curves) == 1:
        [(name, _, shown)] = curves
        end = f' <b class="end {shown.css}">{ends[name]}</b>'
    else:
        legend = "".join(
            f'<li><i class="{shown.css}" style="--line-style: {LINE_STYLES[shown.dash]}"></i>'
            f"{escape(name)} <b>{ends[name]}</b></li>"
            for name, _, shown in curves
        )
        legend = f'<ul class="legend">{legend}</ul>'
    courses = "; ".join(
        f"{name} from {short_number(points[0][1])} to {short_number(points[-1][1])}"
        for name, points, _ in curves
    )
    height = CHART_TOP_PX + PLOT_PX + FOOT_PX
    drawing = Drawing(PANEL_PX, height, _axes(panel, curves, CHART_TOP_PX, ""))
    svg = drawing.inline(f"{title} over {panel.across}: {courses}")
    about = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="chart"><h3>{escape(title)}{end}</h3>{legend}{svg}{about}</figure>'


Curve = tuple[str, list[tuple[float, float]], Look]


def _curves(series: Sequence[Series]) -> list[Curve]:
    """Name, finite points and look of every curve that has a point. A curve that has none keeps its
    look from the others."""
    return [
        (entry.name, points, entry.look or look(index))
        for index, entry in enumerate(series)
        if (points := entry.finite())
    ]


def _panel(panel: Panel) -> str:
    """A panel of a file: title, plot, and the legend below it."""
    curves = _curves(panel.series)
    title = svg_text(LEFT_PX, 18, panel.title, kind="strong")
    parts = [title, _axes(panel, curves, TOP_PX, panel.up)]
    wide = PANEL_PX - LEFT_PX - RIGHT_PX
    for index, (name, _, shown) in enumerate(curves):
        x = LEFT_PX + (index % 2) * (wide // 2)
        y = TOP_PX + PLOT_PX + FOOT_PX + 10 + LEGEND_ROW_PX * (index // 2)
        line = svg_line((x, x + 18), (y - 4, y - 4), "curve", DASHES[shown.dash])
        label = svg_text(x + 23, y, name, kind="small")
        parts.append(f'<g class="{shown.css}">{line}</g>{label}')
    return "".join(parts)


def _axes(panel: Panel, curves: Sequence[Curve], top: float, up: str) -> str:
    """Grid, ticks, labels and curves."""
    xs = [x for _, points, _ in curves for x, _ in points]
    ys = [y for _, points, _ in curves for _, y in points]
    x_ticks = list(range(len(panel.names))) if panel.names else ticks(min(xs), max(xs), 4)
    y_ticks = ticks(min(ys), max(ys))
    x_range = (x_ticks[0], x_ticks[-1]) if panel.names else (min(xs), max(xs))
    width = PANEL_PX - LEFT_PX - RIGHT_PX
    frame = Frame(LEFT_PX, top, width, PLOT_PX, x_range, (y_ticks[0], y_ticks[-1]))
    parts: list[str] = []
    for tick in y_ticks:
        y = frame.y(tick)
        kind = "axis" if tick == 0 else "grid"
        parts.append(svg_line((frame.left, frame.right), (y, y), kind))
        parts.append(svg_text(frame.left - 5, y + 4, short_number(tick), "end", "small"))
    for tick in x_ticks:
        if not x_range[0] <= tick <= x_range[1]:
            continue
        x = frame.x(tick)
        label = panel.names[int(tick)] if panel.names else short_number(tick)
        parts.append(svg_line((x, x), (frame.bottom, frame.bottom + 4), "axis"))
        parts.append(svg_text(x, frame.bottom + 16, label, "middle", "small"))
    middle = frame.left + frame.width / 2
    parts.append(svg_text(middle, frame.bottom + 31, panel.across, "middle", "small soft"))
    if up:
        turned = f"translate(11 {frame.top + frame.height / 2:g}) rotate(-90)"
        parts.append(svg_text(0, 0, up, "middle", "small soft", turned))
    parts += [_curve(frame, curve) for curve in curves]
    return "".join(parts)


def _curve(frame: Frame, curve: Curve) -> str:
    name, points, shown = curve
    placed = [(frame.x(x), frame.y(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    dash = f' stroke-dasharray="{DASHES[shown.dash]}"' if shown.dash else ""
    last_x, last_y = placed[-1]
    return (
        f'<g class="{shown.css}"><title>{escape(name)}: {short_number(points[-1][1])} at the end'
        f'</title><polyline class="curve" points="{path}"{dash}/>'
        f'<circle class="dot" cx="{last_x:.1f}" cy="{last_y:.1f}" r="2.6"/></g>'
    )


def information_plane(
    rows: Sequence[Mapping[str, float | None]], colour: Look | None = None
) -> list[Series]:
    """The information plane: a path per link, by steps, of (log-likelihood, bound) in nats per
    element.

    A healthy penalty lowers the bound and keeps the likelihood. A path that falls to the left lost
    both. Estimators that lag and a student that hides look alike: fresh estimators tell them apart
    (`ibsd.analysis.information_probe`).

    Args:
        rows: lines of a run's log. Lines without finite `bound/linkK` and `nll/linkK` are left out.
        colour: of all paths, which then differ by their dashes.

    Example: [{"step": 500, "bound/link1": 4.0, "nll/link1": -2.0}] gives
    [Series("link 1", ((2.0, 4.0),))].
    """
    matches = (re.fullmatch(r"bound/link(\d+)", name) for row in rows for name in row)
    paths: list[Series] = []
    for index, link in enumerate(sorted({int(match[1]) for match in matches if match})):
        pairs = [(row.get(f"nll/link{link}"), row.get(f"bound/link{link}")) for row in rows]
        known = [(-nll, bound) for nll, bound in pairs if nll is not None and bound is not None]
        own = Look(colour.colour, index % len(DASHES)) if colour else None
        if known:
            paths.append(Series(f"link {link}", tuple(known), own))
    return paths


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that span low to high.

    Example: ticks(0.1, 0.9) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = abs(low) * 0.1 or 1.0
        low = low - margin
        high = high + margin
    step = _round_step((high - low) / most)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def short_number(value: float) -> str:
    """As short as it can be read: 12000 gives "12k", 0.05 "0.05", 0.00002 "2e-5"."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value / 1000:.4g}k" if abs(value) < 1e6 else f"{value / 1e6:.4g}M"
    if abs(value) < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}"
