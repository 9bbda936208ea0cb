"""A folder of pairs examined before anyone trains on it for a day: what is wrong, how far LR and HR
lie apart, and what that costs.

Everything found is a finding of a pair; some findings say that the pair should be left out of
training, and `Examination.drop` lists the files. What all pairs share, such as a constant shift, a
network learns, and it costs nothing: only what goes beyond it counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from ibsd.data.integrity import pair_problems, read_file
from ibsd.data.layouts import find_data
from ibsd.data.pairs import Pair, PairSets, UnmatchedError, find_pairs, load_pair
from ibsd.doctor.alignment import Misalignment, displaced, measure
from ibsd.doctor.duplicates import Likeness, copies, likeness
from ibsd.images.rgb import image_size, to_tensor
from ibsd.metrics.fidelity import luma
from ibsd.metrics.protocols import basicsr_y
from ibsd.types import SCALES, InputError, Scale

NEAR_WHITE, NEAR_BLACK = 254, 1
"""Levels from which on a channel counts as saturated."""


@dataclass(frozen=True)
class Limits:
    """What counts as wrong. The defaults let all 100 crops of two RealSR cameras pass that were
    looked at, with room (docs/data.md)."""

    shift_px: float = 0.5
    """LR pixels beyond the shift that all pairs share."""
    degrees: float = 0.5
    """Of rotation beyond the one that all pairs share."""
    correlation: float = 0.75
    """Below it LR and HR do not show the same; of unrelated photographs it is 0.2 to 0.6 at the
    best fit."""
    contrast: float = 3.0
    """Standard deviation of LR's luma in grey levels of 255, below which a picture is flat."""
    saturated: float = 0.75
    """Share of HR's pixels with a channel at 0 or 255."""
    gain: float = 1.5
    """Contrast in linear light of LR over HR, or HR over LR; beyond it a remark is made."""


class Finding(NamedTuple):
    kind: str
    """damaged, no partner, other scene, leak, copy, shift, flat, saturated or colour."""
    sentence: str
    drops: bool


@dataclass
class PairHealth:
    """What was found of one pair; figures are None where it could not be measured."""

    pair: Pair
    split: str
    findings: list[Finding] = field(default_factory=list)
    misalignment: Misalignment | None = None
    contrast: float | None = None
    saturated: float | None = None
    ceiling: float | None = None
    """PSNR-Y (basicsr-y) in dB that HR itself reaches when it is moved as LR is beyond the common
    shift: more a network cannot reach."""

    def as_table(self) -> dict[str, Any]:
        """For JSON."""
        facts: dict[str, Any] = {
            "name": self.pair.name,
            "split": self.split,
            "lr": str(self.pair.lr),
            "hr": str(self.pair.hr),
        }
        if (found := self.misalignment) is not None:
            facts |= {
                "down_px": found.down_px,
                "right_px": found.right_px,
                "degrees": found.degrees,
            }
            facts |= {
                "gain": [_number(each) for each in found.gain],
                "correlation": found.correlation,
            }
            facts |= {
                "contrast": self.contrast,
                "saturated": self.saturated,
                "ceiling_psnr_y": _number(self.ceiling),
            }
        return facts | {"findings": [finding._asdict() for finding in self.findings]}


@dataclass
class Examination:
    """All that was found of a folder."""

    layout: str
    scale: Scale
    scales: tuple[Scale, ...]
    """Scales that the folder holds."""
    pairs: list[PairHealth]
    alone: list[Path]
    """Files without a partner, or with several."""
    common: Misalignment
    """Median over the pairs that could be measured."""

    @property
    def drop(self) -> dict[Path, str]:
        """{file: why} of what should be left out of training, in the order of the pairs."""
        reasons = dict.fromkeys(self.alone, "no partner of the same name")
        for health in self.pairs:
            if why := [finding.sentence for finding in health.findings if finding.drops]:
                reasons |= dict.fromkeys(
                    (health.pair.lr, health.pair.hr), f"{health.pair.name}: {'; '.join(why)}"
                )
        return reasons

    def counts(self) -> dict[str, int]:
        """{kind of finding: pairs that have it}."""
        kinds = [finding.kind for health in self.pairs for finding in health.findings]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} | (
            {"no partner": len(self.alone)} if self.alone else {}
        )

    def measured(self) -> list[PairHealth]:
        return [health for health in self.pairs if health.misalignment is not None]

    def as_table(self) -> dict[str, Any]:
        """For JSON; numbers that do not exist are None."""
        return {
            "layout": self.layout,
            "scale": self.scale,
            "scales": list(self.scales),
            "counts": self.counts(),
            "common": {
                "down_px": self.common.down_px,
                "right_px": self.common.right_px,
                "degrees": self.common.degrees,
            },
            "alone": [str(file) for file in self.alone],
            "drop": {str(file): why for file, why in self.drop.items()},
            "pairs": [health.as_table() for health in self.pairs],
        }


def examine(
    folder: Path | None = None,
    lr: Path | None = None,
    hr: Path | None = None,
    scale: Scale | None = None,
    limits: Limits = Limits(),
    on_pair: Callable[[int, int], None] = lambda done, total: None,
) -> Examination:
    """Examines a folder of pairs in any known layout, or two folders.

    Args:
        scale: to look at; by default the one that the pictures have, the largest where there are
            several.
        on_pair: told (pairs done, pairs in all).

    Errors: InputError where there is nothing to examine; whatever is wrong with single files is a
    finding.
    """
    alone: list[Path] = []
    if folder is not None and (folder / "LR").is_dir() and (folder / "HR").is_dir():
        lr, hr = folder / "LR", folder / "HR"
    if lr is not None and hr is not None:
        ours, theirs = lr, hr
        found = {
            each: PairSets(
                train=_tolerant(lambda dropped: find_pairs(ours, theirs, dropped), alone)
            )
            for each in SCALES
        }
        names = dict.fromkeys(SCALES, "two folders")
    else:
        assert folder is not None
        names, found = _layouts(folder, alone)
    there = scales_of(found)
    if scale is not None and scale not in found:
        raise InputError(
            f"{folder}: holds no pairs at scale {scale}; there are {', '.join(map(str, there or found))}"
        )
    chosen = scale or (max(there) if there else max(found))
    sets = found[chosen]
    if not sets.all():
        raise InputError(
            f"{folder or lr}: holds no pairs to examine; name the folder that holds them"
        )
    health = [
        PairHealth(pair, split)
        for split in ("test", "val", "train")
        for pair in getattr(sets, split)
    ]
    marks = [
        examined(each, chosen, limits, lambda done=done: on_pair(done, len(health)))
        for done, each in enumerate(health, start=1)
    ]
    common = common_part([each.misalignment for each in health if each.misalignment is not None])
    for each in health:
        if each.misalignment is not None:
            judge_alignment(each, common, chosen, limits)
    mark_copies(health, marks)
    return Examination(names[chosen], chosen, there, health, list(dict.fromkeys(alone)), common)


def _layouts(folder: Path, alone: list[Path]) -> tuple[dict[Scale, str], dict[Scale, PairSets]]:
    """Names and pairs at every scale at which the folder can be read."""
    names: dict[Scale, str] = {}
    found: dict[Scale, PairSets] = {}
    refused: InputError | None = None
    for scale in SCALES:
        try:
            layout = _tolerant(
                lambda dropped, scale=scale: find_data(folder, scale, dropped), alone
            )
        except InputError as error:
            refused = refused or error
            continue
        names[scale], found[scale] = layout.name, layout.sets
    if refused is not None and not found:
        raise refused
    return names, found


def _tolerant(find: Callable[[Collection[Path]], Any], alone: list[Path]) -> Any:
    """What `find` gives once the files that it cannot match are left out; they are added to
    `alone`."""
    dropped: set[Path] = set()
    while True:
        try:
            return find(dropped)
        except UnmatchedError as error:
            alone += error.files
            dropped |= {file.absolute() for file in error.files}


def scales_of(found: dict[Scale, PairSets]) -> tuple[Scale, ...]:
    """The scales at which most of the first pictures' sizes fit."""
    fitting = []
    for scale, sets in found.items():
        ratios = [ratio for pair in sets.all()[:25] if (ratio := _ratio(pair)) is not None]
        if ratios and median(ratios) == scale:
            fitting.append(scale)
    return tuple(fitting)


def _ratio(pair: Pair) -> float | None:
    try:
        (height, _), (hr_height, _) = image_size(pair.lr), image_size(pair.hr)
    except InputError:
        return None
    return hr_height / height


def examined(
    health: PairHealth, scale: Scale, limits: Limits, done: Callable[[], None]
) -> Likeness | None:
    """Reads and measures one pair; what its HR looks like, or None where it cannot be used."""
    lr, lr_digest = read_file(health.pair.lr)
    hr, hr_digest = read_file(health.pair.hr)
    digests = {health.pair.lr: lr_digest, health.pair.hr: hr_digest}
    problems = pair_problems(health.pair, scale, digests)
    health.findings += [Finding("damaged", sentence, True) for sentence in problems]
    done()
    if problems or lr is None or hr is None:
        return None
    health.misalignment = measure(lr, hr, scale)
    health.contrast = float(luma(to_tensor(lr)).std(correction=0))
    health.saturated = float(((hr >= NEAR_WHITE) | (hr <= NEAR_BLACK)).any(2).mean())
    if health.contrast < limits.contrast:
        sentence = f"flat: contrast {health.contrast:.1f} grey levels, nothing to learn"
        health.findings.append(Finding("flat", sentence, True))
    elif health.misalignment.correlation < limits.correlation:
        sentence = f"LR and HR show different things: correlation {health.misalignment.correlation:.2f} at the best fit"
        health.findings.append(Finding("other scene", sentence, True))
    if health.saturated > limits.saturated:
        health.findings.append(
            Finding("saturated", f"{health.saturated:.0%} of HR's pixels are saturated", True)
        )
    gains = [gain for gain in health.misalignment.gain if math.isfinite(gain)]
    if any(finding.kind in ("flat", "other scene") for finding in health.findings):
        health.misalignment = health.misalignment._replace(gain=(math.nan,) * 3)
    elif any(not 1 / limits.gain <= gain <= limits.gain for gain in gains):
        sentence = f"contrast of LR over HR in linear light, R G B: {' '.join(f'{gain:.2f}' for gain in gains)}"
        health.findings.append(Finding("colour", sentence, False))
    return likeness(hr)


def common_part(found: Sequence[Misalignment]) -> Misalignment:
    """Medians of shift and rotation."""
    if not found:
        return Misalignment(0.0, 0.0, 0.0)
    return Misalignment(
        *(
            median(getattr(each, name) for each in found)
            for name in ("down_px", "right_px", "degrees")
        )
    )


def judge_alignment(health: PairHealth, common: Misalignment, scale: Scale, limits: Limits) -> None:
    """The ceiling of a pair, and a finding where it lies further off than the others."""
    assert health.misalignment is not None
    if any(finding.kind in ("flat", "other scene") for finding in health.findings):
        return  # what was fitted means nothing
    beyond = health.misalignment.beyond(common)
    hr = load_pair(health.pair)[1]
    moved, still = to_tensor(displaced(hr, beyond, scale)), to_tensor(hr)
    health.ceiling = float(basicsr_y(moved, still, scale)["psnr_y"])
    if beyond.shift_px > limits.shift_px or abs(beyond.degrees) > limits.degrees:
        sentence = (
            f"LR lies {beyond.down_px:+.2f} px down, {beyond.right_px:+.2f} px right and {beyond.degrees:+.2f} degrees turned "
            f"beyond the other pairs: PSNR-Y of at most {health.ceiling:.1f} dB"
        )
        health.findings.append(Finding("shift", sentence, True))


def mark_copies(health: Sequence[PairHealth], marks: Sequence[Likeness | None]) -> None:
    """Findings for HR pictures that show what another one shows; test comes before val and val
    before train, so that train's is dropped."""
    known = [index for index, mark in enumerate(marks) if mark is not None]
    for earlier, later in copies([mark for mark in marks if mark is not None]):
        original, copy = health[known[earlier]], health[known[later]]
        if original.split != copy.split:
            sentence = f"the same picture as {original.pair.name} in {original.split}"
            copy.findings.append(Finding("leak", sentence, True))
        else:
            copy.findings.append(
                Finding("copy", f"the same picture as {original.pair.name}", copy.split == "train")
            )


def _number(value: float | None) -> float | None:
    """None for what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
