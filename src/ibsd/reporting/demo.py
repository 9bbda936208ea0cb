"""The page of the demo: one photograph before and after, enlarged parts, scores, curves, and what
it does not prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibsd.reporting import html
from ibsd.reporting.pictures import Box, Scene, enlarged_parts, scene_slider
from ibsd.reporting.plots import Panel, chart, looks
from ibsd.reporting.scores import mean_rows
from ibsd.reporting.stored_run import LogRows
from ibsd.reporting.training import curve

if TYPE_CHECKING:
    from ibsd.evaluation.scores import ScoreTable

NO_CONCLUSION = "one seed: no conclusion"

SHOWN_SCORES = (("basicsr-y", "psnr_y"), ("basicsr-y", "ssim_y"), ("ibsd-cdc", "lpips"))
"""(protocol, metric) in the page's table; scores.json has all of them."""

CHARTS = {
    "val/psnr_y": ("PSNR-Y on validation", "On two photographs of val; more is better.", "dB"),
    "term/l1": ("L1", "Mean absolute difference to HR, on training patches.", ""),
    "term/bound": (
        "Bound",
        "What each layer tells of the one before. IBSD lowers it; it grows while layers learn.",
        "nats per element",
    ),
    "term/wavelet": ("Wavelet loss", "Fine detail, against a blend of HR and the past.", ""),
}
"""{name in the log: (title, caption, unit)}"""

SCORES_NOTE = (
    f"{NO_CONCLUSION.capitalize()}. A comparison with plain training needs several seeds, longer "
    "runs and pairs from real cameras. Small differences between the last two columns change with "
    "the seed."
)
SCORES_ABOUT = (
    "Means over {images} photographs that neither training saw, with the difference to bicubic in "
    "brackets. PSNR measures nearness to the original, SSIM likeness of structures, LPIPS how "
    "different they look to a network that learned from people."
)


@dataclass(frozen=True)
class Story:
    """Everything that the page shows."""

    photograph: Scene
    credit: str
    """Title, author and licence of the photograph."""
    table: ScoreTable
    logs: Mapping[str, LogRows]
    """Log of each training, by method."""
    details: Sequence[tuple[str, str]]
    """Names with values: how it was made."""
    versions: Mapping[str, str]
    num_parameters: int
    num_photographs: int
    minutes: float


def demo_page(story: Story, boxes: Sequence[Box]) -> str:
    """The page as text."""
    lead = (
        f"A network of {story.num_parameters:,} parameters learned for {story.minutes:.1f} "
        f"minutes, on this machine's processor, from {story.num_photographs} other photographs. It "
        "never saw this one."
    )
    methods = story.table.methods
    sections = [
        scene_slider(story.photograph, _caption(story)),
        html.section(
            "Look closer",
            *(enlarged_parts(story.photograph, box) for box in boxes),
            about="The program chose the parts where the three results differ most.",
        ),
        html.section(
            "Scores",
            html.table(["", *methods], mean_rows(story.table, SHOWN_SCORES), len(methods)),
            html.paragraph(SCORES_NOTE, "note"),
            about=SCORES_ABOUT.format(images=story.table.num_images),
        ),
        html.section(
            "How they learned",
            html.figure_grid(learning_curves(story.logs)),
            about="Both see the same pictures in the same order from the same start.",
        ),
        html.section("How it was made", html.definitions(story.details)),
    ]
    versions = ", ".join(f"{name} {version}" for name, version in story.versions.items())
    title = f"A photograph, {story.table.scale} times as large"
    return html.page(title, "ibsd demo", lead, sections, versions)


def _caption(story: Story) -> str:
    """The slider's caption: what went in, and what came out."""
    photograph = story.photograph
    height, width = photograph.lr.shape[:2]
    names = list(photograph.versions)
    first, last = (photograph.psnr[name] for name in (names[0], names[-1]))
    return (
        f"Pull the line, or use the arrow keys. {width} x {height} pixels went in, blurred, noisy "
        f"and compressed as by a small camera. PSNR-Y against the original: {names[0]} {first:.2f} "
        f"dB, {names[-1]} {last:.2f} dB ({last - first:+.2f}). {story.credit}"
    )


def learning_curves(logs: Mapping[str, LogRows]) -> list[str]:
    """A chart for each of `CHARTS`. A method has one colour in all of them, the first method the
    neutral one."""
    colours = looks(logs, neutral=next(iter(logs), ""))
    figures: list[str] = []
    for name, (title, caption, unit) in CHARTS.items():
        logged = {method: rows for method, rows in logs.items() if any(name in row for row in rows)}
        curves = [curve(rows, name, method, colours[method]) for method, rows in logged.items()]
        figures.append(chart(Panel(title, curves, "steps", unit), caption))
    return figures
