"""One pair of pictures checked: readable, of one scene, aligned, neither flat nor saturated."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ibsd.data.integrity import pair_problems, read_file
from ibsd.data.pairs import Pair, fitted_size, load_pair
from ibsd.doctor.alignment import Misalignment, displaced, measure_misalignment
from ibsd.doctor.duplicates import PerceptualHash, perceptual_hash
from ibsd.images.rgb import to_tensor
from ibsd.metrics.fidelity import luma
from ibsd.metrics.protocols import basicsr_y
from ibsd.system import finite_or_none
from ibsd.types import Scale

NEAR_WHITE = 254
NEAR_BLACK = 1
"""A channel at or beyond one of these levels is saturated."""

NOT_ALIGNABLE = ("flat", "other scene")
"""Kinds of findings after which a measured misalignment means nothing."""


@dataclass(frozen=True)
class CheckupLimits:
    """What counts as wrong. With the defaults, 100 of 100 crops of two RealSR cameras pass."""

    shift_px: float = 0.5
    """Largest shift in LR pixels, beyond the shift that all pairs share."""
    degrees: float = 0.5
    """Largest rotation, beyond the rotation that all pairs share."""
    correlation: float = 0.75
    """Least correlation of LR and HR at the best fit. Unrelated photographs reach 0.2 to 0.6."""
    contrast: float = 3.0
    """Least standard deviation of LR's luma, in grey levels of 255."""
    saturated: float = 0.75
    """Largest share of HR's pixels with a channel at 0 or 255."""
    gain: float = 1.5
    """Contrast in linear light of LR over HR, or HR over LR, beyond which a remark is made."""


class Finding(NamedTuple):
    """Something wrong with a pair."""

    kind: str
    """unusable, unchecked, no partner, other scene, leak, copy, shift, flat, saturated, colour."""
    sentence: str
    drops: bool
    """Whether the pair should be left out of training."""


@dataclass
class PairCheckup:
    """Measurements and findings of one pair; None for what could not be measured."""

    pair: Pair
    split: str
    findings: list[Finding] = field(default_factory=list[Finding])
    misalignment: Misalignment | None = None
    contrast: float | None = None
    saturated: float | None = None
    ceiling: float | None = None
    """PSNR-Y (`basicsr-y`) in dB of HR moved as LR is beyond the common shift, against HR itself. A
    network cannot reach more."""

    @property
    def alignable(self) -> bool:
        """Whether the measured misalignment means anything."""
        kinds = {finding.kind for finding in self.findings}
        return self.misalignment is not None and kinds.isdisjoint(NOT_ALIGNABLE)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that do not exist are None."""
        names = {"name": self.pair.name, "split": self.split}
        table: dict[str, Any] = names | {"lr": str(self.pair.lr), "hr": str(self.pair.hr)}
        if (misalignment := self.misalignment) is not None:
            table |= {
                "down_px": misalignment.down_px,
                "right_px": misalignment.right_px,
                "degrees": misalignment.degrees,
                "gain": [finite_or_none(gain) for gain in misalignment.gain],
                "correlation": misalignment.correlation,
                "contrast": self.contrast,
                "saturated": self.saturated,
                "ceiling_psnr_y": finite_or_none(self.ceiling),
            }
        return table | {"findings": [finding._asdict() for finding in self.findings]}


def check_pair(checkup: PairCheckup, scale: Scale, limits: CheckupLimits) -> PerceptualHash | None:
    """Reads and measures one pair, and notes its findings. Returns the hash of its HR, or None
    where the pair cannot be used."""
    pair = checkup.pair
    lr, lr_digest = read_file(pair.lr)
    hr, hr_digest = read_file(pair.hr)
    problems = pair_problems(pair, scale, {pair.lr: lr_digest, pair.hr: hr_digest})
    checkup.findings += [Finding("unusable", sentence, True) for sentence in problems]
    if problems or lr is None or hr is None:
        return None
    height, width = fitted_size(lr_digest.size, hr_digest.size)
    hr = hr[:height, :width]
    misalignment = measure_misalignment(lr, hr, scale)
    checkup.contrast = float(luma(to_tensor(lr)).std(correction=0))
    checkup.saturated = float(((hr >= NEAR_WHITE) | (hr <= NEAR_BLACK)).any(2).mean())
    checkup.misalignment = misalignment
    if checkup.contrast < limits.contrast:
        sentence = f"contrast {checkup.contrast:.1f} grey levels, nothing to learn"
        checkup.findings.append(Finding("flat", sentence, True))
    elif misalignment.correlation < limits.correlation:
        sentence = (
            "LR and HR show different things: "
            f"correlation {misalignment.correlation:.2f} at the best fit"
        )
        checkup.findings.append(Finding("other scene", sentence, True))
    if checkup.saturated > limits.saturated:
        sentence = f"{checkup.saturated:.0%} of HR's pixels are saturated"
        checkup.findings.append(Finding("saturated", sentence, True))
    gains = [gain for gain in misalignment.gain if math.isfinite(gain)]
    if not checkup.alignable:
        checkup.misalignment = misalignment._replace(gain=(math.nan, math.nan, math.nan))
    elif any(not 1 / limits.gain <= gain <= limits.gain for gain in gains):
        values = " ".join(f"{gain:.2f}" for gain in gains)
        sentence = f"contrast of LR over HR in linear light, R G B: {values}"
        checkup.findings.append(Finding("colour", sentence, False))
    return perceptual_hash(hr)


def judge_alignment(
    checkup: PairCheckup, common: Misalignment, scale: Scale, limits: CheckupLimits
) -> None:
    """Sets the ceiling of a pair, and notes a finding where it lies further off than the others."""
    if checkup.misalignment is None or not checkup.alignable:
        return
    beyond = checkup.misalignment.beyond(common)
    hr = load_pair(checkup.pair)[1]
    moved = to_tensor(displaced(hr, beyond, scale))
    checkup.ceiling = float(basicsr_y(moved, to_tensor(hr), scale)["psnr_y"])
    if beyond.shift_px > limits.shift_px or abs(beyond.degrees) > limits.degrees:
        sentence = (
            f"LR lies {beyond.down_px:+.2f} px down, {beyond.right_px:+.2f} px right and "
            f"{beyond.degrees:+.2f} degrees turned beyond the other pairs: "
            f"PSNR-Y of at most {checkup.ceiling:.1f} dB"
        )
        checkup.findings.append(Finding("shift", sentence, True))
