"""The page of a checked folder of pairs: its problems, pair by pair, and how far LR and HR lie
apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
from PIL import Image

from ibsd.data.integrity import read_file
from ibsd.doctor.checkup import Checkup
from ibsd.doctor.pair_checkup import PairCheckup
from ibsd.reporting import html
from ibsd.reporting.html import Pixels
from ibsd.types import counted

MOST_SUSPECTS = 12
SUSPECT_PX = 320
"""Width at which the images of a suspect pair are shown."""
PAIR_COLUMNS = (
    "pair",
    "set",
    "down, px",
    "right, px",
    "degrees",
    "gain R G B",
    "correlation",
    "saturated",
    "ceiling, dB",
    "problem",
)
COLUMNS_ABOUT = (
    "Down and right: LR pixels by which LR's content lies off HR's. Degrees: clockwise. Gain: "
    "contrast of LR over HR in linear light. Ceiling: PSNR-Y in dB (basicsr-y) that HR itself "
    "reaches when moved as LR is, beyond the shift that all pairs share, which a network learns."
)


def doctor_page(name: str, checkup: Checkup, version: str) -> str:
    """The page as text; `name` is the folder's."""
    num_pairs = len(checkup.pairs)
    num_dropped = len(checkup.drop)
    left_out = counted(num_dropped, "file") if num_dropped else "nothing"
    lead = f"{counted(num_pairs, 'pair')} at x{checkup.scale}; {left_out} to leave out."
    bad = [health for health in checkup.pairs if health.findings]
    every = html.table(PAIR_COLUMNS, map(pair_row, checkup.pairs))
    problems = (
        html.table(PAIR_COLUMNS, map(pair_row, bad))
        if bad
        else html.paragraph("No problem in these pairs.")
    )
    sections = [
        html.definitions(folder_summary(checkup)),
        html.section(
            "Problems",
            *(html.paragraph(sentence, "alarm") for sentence in problem_counts(checkup)),
            problems,
            about=COLUMNS_ABOUT,
        ),
        html.section("Suspect pairs", *map(suspect, worst_first(checkup)[:MOST_SUSPECTS])),
        html.section("Every pair", html.folded(counted(num_pairs, "pair"), every)),
    ]
    return html.page(name, "ibsd doctor", lead, sections, f"ibsd {version}")


def suspect(health: PairCheckup) -> str:
    """LR and HR of a pair side by side under its problems; "" where neither can be read. What ended
    other processes is not read."""
    unchecked = any(finding.kind == "unchecked" for finding in health.findings)
    sides = () if unchecked else (("LR", health.pair.lr), ("HR", health.pair.hr))
    figures = [
        html.figure(_small(pixels), side, f"{side} of {health.pair.name}")
        for side, file in sides
        if (pixels := read_file(file)[0]) is not None
    ]
    about = "; ".join(finding.sentence for finding in health.findings)
    return html.part(health.pair.name, html.figure_grid(figures), about=about)


def _small(pixels: Pixels) -> Pixels:
    """At a width of `SUSPECT_PX`."""
    height, width = pixels.shape[:2]
    size = (SUSPECT_PX, max(1, round(height * SUSPECT_PX / width)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def folder_summary(checkup: Checkup) -> list[tuple[str, str]]:
    """Names with values: the folder, and medians over `Checkup.measured`."""
    splits = [health.split for health in checkup.pairs]
    scale = f"x{checkup.scale}"
    if len(checkup.scales) > 1:
        scale += f" (of {', '.join(map(str, checkup.scales))})"
    counts = [
        f"{split} {splits.count(split)}" for split in ("train", "val", "test") if split in splits
    ]
    items = [("layout", checkup.layout), ("scale", scale), ("pairs", ", ".join(counts))]
    return items + _misalignments(checkup)


def _misalignments(checkup: Checkup) -> list[tuple[str, str]]:
    """How far LR lies off HR; none where no pair shows it."""
    measured = checkup.measured()
    if not measured:
        return []
    common = checkup.common
    shifts = sorted(misalignment.beyond(common).shift_px for misalignment in measured)
    turns = sorted(abs(misalignment.beyond(common).degrees) for misalignment in measured)
    shared = f"{common.down_px:+.3f} down, {common.right_px:+.3f} right"
    items = [
        ("shift of all pairs, LR px", shared),
        ("shift beyond it, LR px", f"median {median(shifts):.3f}, largest {shifts[-1]:.3f}"),
        ("rotation beyond that of all", f"median {median(turns):.3f}°, largest {turns[-1]:.3f}°"),
    ]
    channels = zip(*(misalignment.gain for misalignment in measured), strict=True)
    finite = ([gain for gain in gains if math.isfinite(gain)] for gains in channels)
    if gains := " ".join(f"{median(values):.3f}" for values in finite if values):
        items.append(("contrast of LR over HR, R G B", gains))
    ceilings = [health.ceiling for health in checkup.pairs if health.ceiling is not None]
    if ceilings:
        ceiling = f"median {median(ceilings):.1f} dB, lowest {min(ceilings):.1f} dB"
        items.append(("PSNR-Y ceiling", ceiling))
    return items


def problem_counts(checkup: Checkup) -> list[str]:
    """One sentence for each kind of problem."""
    return [
        f"{kind}: {counted(number, 'file' if kind == 'no partner' else 'pair')}"
        for kind, number in checkup.counts().items()
    ]


def pair_row(health: PairCheckup) -> list[str]:
    """The cells of a pair."""
    problems = "; ".join(f"{finding.kind}: {finding.sentence}" for finding in health.findings)
    name = health.pair.name
    misalignment = health.misalignment
    if misalignment is None:
        return [name, health.split, *[""] * (len(PAIR_COLUMNS) - 3), problems]
    moved = (misalignment.down_px, misalignment.right_px, misalignment.degrees)
    return [
        name,
        health.split,
        *(f"{value:+.2f}" if health.alignable else "" for value in moved),
        " ".join(f"{gain:.2f}" for gain in misalignment.gain if math.isfinite(gain)),
        f"{misalignment.correlation:.3f}",
        "" if health.saturated is None else f"{health.saturated:.0%}",
        "" if health.ceiling is None else f"{health.ceiling:.1f}",
        problems,
    ]


def worst_first(checkup: Checkup) -> Sequence[PairCheckup]:
    """Pairs with problems, those to be left out first."""
    bad = [health for health in checkup.pairs if health.findings]
    return sorted(bad, key=lambda health: not any(finding.drops for finding in health.findings))
