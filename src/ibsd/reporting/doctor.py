"""The page of an examined folder of pairs: what was found, pair by pair, and how far LR and HR lie
apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from ibsd.doctor.checkup import Examination, PairHealth
from ibsd.reporting import html

HEADER = (
    "pair",
    "set",
    "down",
    "right",
    "degrees",
    "gain R G B",
    "correlation",
    "saturated",
    "ceiling",
    "found",
)

ABOUT = (
    "Down and right: LR pixels by which LR's content lies off HR's; degrees clockwise. Gain: contrast of LR over HR in linear light. Ceiling: PSNR-Y "
    "in dB (basicsr-y) that HR itself reaches when moved as LR is, beyond the shift that all pairs share, which a network learns."
)


def doctor_page(name: str, examination: Examination, version: str) -> str:
    """The page as text; `name` is the folder's."""
    bad = [health for health in examination.pairs if health.findings]
    sections = [
        html.facts(summary(examination)),
        html.section(
            "What was found",
            *(html.paragraph(sentence, "alarm") for sentence in sentences(examination)),
            html.table(HEADER, map(cells, bad))
            if bad
            else html.paragraph("Nothing that speaks against training on these pairs."),
            about=ABOUT,
        ),
        html.section(
            "Every pair",
            html.details(
                f"{len(examination.pairs)} pairs", html.table(HEADER, map(cells, examination.pairs))
            ),
        ),
    ]
    drops = len(examination.drop)
    lead = f"{len(examination.pairs)} pairs at x{examination.scale}; {'nothing' if not drops else f'{drops} files'} to leave out."
    return html.page(name, "ibsd doctor", lead, sections, f"ibsd {version}")


def summary(examination: Examination) -> list[tuple[str, str]]:
    """Names with values: what the folder is, and medians over the pairs that could be measured."""
    splits = [health.split for health in examination.pairs]
    facts = [
        ("layout", examination.layout),
        (
            "scale",
            f"x{examination.scale}"
            + (
                ""
                if len(examination.scales) < 2
                else f" (of {', '.join(map(str, examination.scales))})"
            ),
        ),
        (
            "pairs",
            ", ".join(
                f"{split} {splits.count(split)}"
                for split in ("train", "val", "test")
                if split in splits
            ),
        ),
    ]
    found = [
        health.misalignment for health in examination.measured() if health.misalignment is not None
    ]
    if not found:
        return facts
    common = examination.common
    shifts = sorted(each.beyond(common).shift_px for each in found)
    turns = sorted(abs(each.beyond(common).degrees) for each in found)
    ceilings = [health.ceiling for health in examination.pairs if health.ceiling is not None]
    facts += [
        ("shift all share, LR px", f"{common.down_px:+.3f} down, {common.right_px:+.3f} right"),
        ("shift beyond it, LR px", f"median {median(shifts):.3f}, largest {shifts[-1]:.3f}"),
        ("rotation beyond the shared", f"median {median(turns):.3f}°, largest {turns[-1]:.3f}°"),
    ]
    gains = [
        median(values)
        for channel in range(3)
        if (values := [each.gain[channel] for each in found if math.isfinite(each.gain[channel])])
    ]
    if gains:
        facts.append(("contrast of LR over HR, R G B", " ".join(f"{gain:.3f}" for gain in gains)))
    if ceilings:
        facts.append(
            ("PSNR-Y ceiling", f"median {median(ceilings):.1f} dB, lowest {min(ceilings):.1f} dB")
        )
    return facts


def sentences(examination: Examination) -> list[str]:
    """One for each kind of finding."""
    counts = examination.counts()
    return [
        f"{kind}: {counted(number, 'file' if kind == 'no partner' else 'pair')}"
        for kind, number in counts.items()
    ]


def cells(health: PairHealth) -> list[str]:
    """The row of a pair."""
    found = health.misalignment
    why = "; ".join(f"{finding.kind}: {finding.sentence}" for finding in health.findings)
    if found is None:
        return [health.pair.name, health.split, *[""] * (len(HEADER) - 3), why]
    gains = " ".join(f"{gain:.2f}" for gain in found.gain if math.isfinite(gain))
    return [
        health.pair.name,
        health.split,
        f"{found.down_px:+.2f}",
        f"{found.right_px:+.2f}",
        f"{found.degrees:+.2f}",
        gains,
        f"{found.correlation:.3f}",
        "" if health.saturated is None else f"{health.saturated:.0%}",
        "" if health.ceiling is None else f"{health.ceiling:.1f}",
        why,
    ]


def worst_first(examination: Examination) -> Sequence[PairHealth]:
    """Pairs with findings, those to be left out first."""
    bad = [health for health in examination.pairs if health.findings]
    return sorted(bad, key=lambda health: not any(finding.drops for finding in health.findings))


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
