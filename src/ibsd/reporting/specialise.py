"""The page of specialised weights, with tables of what they gain and lose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from ibsd.comparison.harm import worst_tenth
from ibsd.evaluation.scores import BICUBIC, ScoreTable
from ibsd.reporting import html
from ibsd.reporting.format import difference_text
from ibsd.reporting.scores import mean_rows, score_table
from ibsd.types import counted

START = "start"
SPECIALISED = "specialised"
"""Names of the two networks in tables."""
PRIMARY = ("basicsr-y", "psnr_y")
SHOWN = (PRIMARY, ("ibsd-cdc", "lpips"))
"""(protocol, metric) of the means shown; the page has all of them."""
NOTED_LOSS_DB = 0.05
"""A sentence names a loss of mean PSNR-Y against the start from this size on."""
ABOUT = (
    "Differences are to bicubic. The worst tenth is the mean over the tenth of the images that "
    "gain least over bicubic. The photographs inside ibsd are degraded like a small camera's, and "
    "stand for cameras that are not yours."
)


def gain_rows(table: ScoreTable) -> list[list[str]]:
    """The rows of one set of images: each a title, then bicubic, the start and the specialised
    weights."""
    gains = [image_gains(table, method) for method in table.methods[1:]]
    worst = (difference_text("psnr_y", worst_tenth(gain)) for gain in gains)
    below = (f"{(gain < 0).mean():.0%}" for gain in gains)
    return [
        *mean_rows(table, SHOWN),
        ["worst tenth over bicubic, dB", "", *worst],
        ["images below bicubic", "", *below],
    ]


def image_gains(table: ScoreTable, method: str) -> np.ndarray:
    """PSNR-Y of a method over bicubic, image by image, in dB."""
    protocol, metric = PRIMARY
    of_method, of_bicubic = (
        np.array([row.scores[protocol][metric] for row in table.rows if row.method == name])
        for name in (method, BICUBIC)
    )
    return of_method - of_bicubic


def losses(tables: Mapping[str, ScoreTable]) -> list[str]:
    """A sentence for each set of images on which the start is better by `NOTED_LOSS_DB` or more."""
    protocol, metric = PRIMARY
    sentences: list[str] = []
    for title, table in tables.items():
        start, now = (table.means[name][protocol][metric] for name in (START, SPECIALISED))
        if now - start <= -NOTED_LOSS_DB:
            sentences.append(
                f"on {title} the specialised weights lose {start - now:.2f} dB against the start: "
                "keep the start for such images"
            )
    return sentences


def titled(title: str, table: ScoreTable) -> str:
    return f"{title}, {counted(table.num_images, 'image')}"


def specialise_page(
    tables: Mapping[str, ScoreTable],
    pictures: str,
    details: Sequence[tuple[str, str]],
    versions: Mapping[str, str],
) -> str:
    """The page as text.

    Args:
        tables: scores by the name of the set of images.
        pictures: HTML of images before and after.
        details: names with values: how the weights were made.
    """
    header = ["", BICUBIC, START, SPECIALISED]
    gains = [
        html.table(header, gain_rows(table), len(header) - 1, titled(title, table))
        for title, table in tables.items()
    ]
    every = (
        html.part(titled(title, table), score_table(json.loads(table.to_json())))
        for title, table in tables.items()
    )
    alarms = (html.paragraph(f"Note: {sentence}.", "alarm") for sentence in losses(tables))
    sections = [
        html.section("What they gain and lose", *gains, *alarms, about=ABOUT),
        pictures,
        html.section("Every score", html.folded("All protocols and metrics", "".join(every))),
        html.section("How they were made", html.definitions(details)),
    ]
    lead = (
        "A short training on your pairs, and then the mean of the weights before and after it: a "
        "network for your cameras that keeps what it could do before."
    )
    footer = ", ".join(f"{name} {version}" for name, version in versions.items())
    return html.page("Weights for your cameras", "ibsd specialise", lead, sections, footer)
