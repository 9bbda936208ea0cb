"""Mean differences to the baseline with both intervals, one panel per test set, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

from ibsd.comparison.results import Difference, Results
from ibsd.comparison.run import AVERAGED
from ibsd.reporting.comparison_rows import select

LABEL_PX, PLOT_PX, ROW_PX, HEAD_PX, FOOT_PX = 170, 470, 22, 46, 40
KINDS = {"treatment": "", "a/a": " (A/A)", "unpaired": " (unpaired)"}
COLOURS = {
    "better": "#1a7f37",
    "worse": "#b42318",
    "no difference shown": "#475467",
    "no interval": "#98a2b3",
}


def difference_plot(results: Results) -> str:
    """The primary metric of the averaged weights: a dot per arm, the t interval thick, the
    bootstrap's thin, the noise floor grey."""
    design, metric = results.design, results.design.primary
    panels = []
    for name, setting in design.settings.items():
        for test, role in setting.whole_tests().items():
            if found := select(results, name, test, AVERAGED, metric):
                panels.append((f"{name}: scored on {test} ({role})", found))
    top, parts = 8, []
    for title, found in panels:
        parts.append(
            _panel(
                title,
                found,
                top,
                f"{metric}, arm less {design.baseline}" + (" (dB)" if ".psnr" in metric else ""),
            )
        )
        top += HEAD_PX + ROW_PX * len(found) + FOOT_PX
    width, height = LABEL_PX + PLOT_PX + 30, max(top, 40)
    style = "font-family:system-ui,sans-serif;font-size:12px;fill:#1d2939"
    body = "\n".join(parts) or f'<text x="16" y="24" style="{style}">no differences yet</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" style="{style}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _panel(title: str, found: list[Difference], top: int, caption: str) -> str:
    ends = [0.0]
    for each in found:
        ends += [each.mean, *(each.t_interval or ()), *(each.bootstrap_interval or ())]
        ends += [each.noise_floor, -each.noise_floor] if each.noise_floor is not None else []
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.01
    low, high = low - margin, high + margin

    def x(value: float) -> float:
        return LABEL_PX + PLOT_PX * (value - low) / (high - low)

    bottom = top + HEAD_PX + ROW_PX * len(found)
    parts = [f'<text x="12" y="{top + 16}" font-weight="600">{escape(title)}</text>']
    if (floor := found[0].noise_floor) is not None:
        parts.append(
            f'<rect x="{x(-floor):.1f}" y="{top + 28}" width="{x(floor) - x(-floor):.1f}" height="{bottom - top - 28}" fill="#eaecf0"/>'
            f'<text x="{x(0):.1f}" y="{top + 38}" text-anchor="middle" font-size="10" fill="#667085">noise floor</text>'
        )
    for tick in ticks(low, high):
        weight = 'stroke="#344054"' if tick == 0 else 'stroke="#d0d5dd" stroke-dasharray="2 3"'
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top + 42}" y2="{bottom}" {weight}/>'
        )
        parts.append(
            f'<text x="{x(tick):.1f}" y="{bottom + 14}" text-anchor="middle" font-size="11">{tick:+.3g}</text>'
        )
    parts.append(
        f'<text x="{LABEL_PX + PLOT_PX / 2}" y="{bottom + 29}" text-anchor="middle" font-size="11">{escape(caption)}</text>'
    )
    for row, each in enumerate(found):
        parts.append(_row(each, x, top + HEAD_PX + ROW_PX * row + ROW_PX // 2))
    return "\n".join(parts)


def _row(each: Difference, x: Callable[[float], float], y: int) -> str:
    colour = COLOURS[each.verdict]
    parts = [
        f'<text x="{LABEL_PX - 10}" y="{y + 4}" text-anchor="end">{escape(each.arm)}{KINDS[each.kind]}</text>'
    ]
    for bounds, width in ((each.bootstrap_interval, 1.5), (each.t_interval, 5)):
        if bounds:
            opacity = 1 if width < 2 else 0.45
            ends = f'x1="{x(bounds[0]):.1f}" x2="{x(bounds[1]):.1f}" y1="{y}" y2="{y}"'
            parts.append(
                f'<line {ends} stroke="{colour}" stroke-width="{width}" opacity="{opacity}"/>'
            )
    parts.append(f'<circle cx="{x(each.mean):.1f}" cy="{y}" r="4" fill="{colour}"/>')
    return "".join(parts)


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers within [low, high], 0 among them where it lies there; steps of 1, 2 or 5 times
    a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
