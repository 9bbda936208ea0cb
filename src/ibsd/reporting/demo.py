"""The page of the demo: one photograph before and after, where to look closer, the scores, the
curves, and what it does not prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibsd.reporting import html
from ibsd.reporting.curves import chart
from ibsd.reporting.format import described, figure, signed
from ibsd.reporting.pictures import Box
from ibsd.reporting.scenes import Scene, crops, scene_slider
from ibsd.reporting.training import Rows, curve

if TYPE_CHECKING:
    from ibsd.evaluation.scores import ScoreTable

NO_CONCLUSION = "one seed: no conclusion"

SHOWN = (("basicsr-y", "psnr_y"), ("basicsr-y", "ssim_y"), ("ibsd-cdc", "lpips"))
"""(protocol, metric) in the page's table; scores.json has all of them."""


@dataclass(frozen=True)
class Story:
    """What the page tells."""

    photograph: Scene
    credit: str
    """Of the photograph."""
    table: ScoreTable
    logs: Mapping[str, Rows]
    """Log of each training, by method."""
    facts: Sequence[tuple[str, str]]
    versions: Mapping[str, str]
    num_parameters: int
    num_photographs: int
    minutes: float


def demo_page(story: Story, boxes: Sequence[Box]) -> str:
    """The page as text."""
    photograph, scale = story.photograph, story.table.scale
    first, last = next(iter(photograph.versions)), list(photograph.versions)[-1]
    gain = photograph.psnr[last] - photograph.psnr[first]
    height, width = photograph.lr.shape[:2]
    title = f"A photograph, {scale} times as large"
    lead = (
        f"A network of {story.num_parameters:,} parameters learned for {story.minutes:.1f} minutes, on this machine's processor, from "
        f"{story.num_photographs} other photographs. It never saw this one."
    )
    caption = (
        f"Pull the line, or use the arrow keys. {width} x {height} pixels went in, blurred, noisy and compressed as by a small camera. "
        f"PSNR-Y against the original: {first} {photograph.psnr[first]:.2f} dB, {last} {photograph.psnr[last]:.2f} dB ({gain:+.2f}). "
        f"{story.credit}"
    )
    sections = [
        scene_slider(photograph, caption),
        html.section(
            "Look closer",
            *(crops(photograph, box) for box in boxes),
            about="Where the three results differ most, found by the computer and not picked by hand.",
        ),
        html.section(
            "Scores",
            html.table(
                ["", *story.table.methods], score_rows(story.table), len(story.table.methods)
            ),
            html.paragraph(
                f"{NO_CONCLUSION.capitalize()}. Whether IBSD beats plain training takes several seeds, longer runs and pairs from real cameras; "
                "small differences between the last two columns come and go with the seed.",
                "note",
            ),
            about=f"Means over {story.table.num_images} photographs that neither training saw; in brackets the difference to bicubic. "
            "PSNR measures nearness to the original, SSIM likeness of structures, LPIPS how different they look to a network taught by people.",
        ),
        html.section(
            "How they learned",
            html.grid(curves(story.logs)),
            about="Both see the same pictures in the same order from the same start.",
        ),
        html.section("How it was made", html.facts(story.facts)),
    ]
    return html.page(
        title,
        "ibsd demo",
        lead,
        sections,
        ", ".join(f"{name} {version}" for name, version in story.versions.items()),
    )


def score_rows(table: ScoreTable) -> list[list[str]]:
    """A line per metric; each method but the first with its difference to that."""
    means, rows = table.means, []
    for protocol, metric in SHOWN:
        if (protocol, metric) not in table.columns:
            continue
        values = [means[method][protocol][metric] for method in table.methods]
        differences = (
            f"{figure(metric, value)} ({signed(metric, value - values[0])})" for value in values[1:]
        )
        rows.append([f"{described(metric)}", figure(metric, values[0]), *differences])
    return rows


def curves(logs: Mapping[str, Rows]) -> list[str]:
    """What both trainings share in one chart each; then what only one of them has."""

    def together(name: str, title: str, caption: str, unit: str = "") -> str:
        return chart(
            title,
            [
                curve(rows, name, method)
                for method, rows in reversed(list(logs.items()))
                if any(name in row for row in rows)
            ],
            caption,
            unit,
        )

    return [
        together(
            "val/psnr_y",
            "PSNR-Y on validation",
            "On two photographs kept for watching; more is better.",
            "dB",
        ),
        together("term/l1", "L1", "Mean absolute difference to the original, on training patches."),
        together(
            "term/bound",
            "Bound",
            "What each layer tells of the one before. IBSD holds it back; while the layers learn it grows all the same.",
            "nats per element",
        ),
        together(
            "term/wavelet",
            "Wavelet loss",
            "Fine detail, against a blend of the original and the network's own past.",
        ),
    ]
