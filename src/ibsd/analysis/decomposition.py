"""Decomposition of a drop of the bound: forgetting, hiding, or smaller features.

T, R, S are a link's bound under the run's own estimators, under the same after the best change of
units, and under fresh estimators on standardised nodes (`Reading.trained`, `.recalibrated`,
`.standardised`); p marks a student without the penalty and i one with it. The drop

    T_p - T_i  =  [ (R_i - T_i) - (R_p - T_p) ]    scale:       comes back when the estimators may
                                                                change units
                + [ (S_i - R_i) - (S_p - R_p) ]    hiding:      comes back only with new estimators;
                                                                those of the run lost sight of it
                + [  S_p - S_i ]                   forgetting:  new estimators, blind to units, miss
                                                                it too

is a telescoping sum, exact for every link and for their total. A part can be negative (fresh
estimators see *more* than before), and another then exceeds the whole. The gain (predictive
information) is decomposed alike; places of tiny spread cannot inflate it. A student without the
penalty is one whose estimators watch with lambda_mi = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ibsd.analysis.information_probe import LinkInformation, Reading
from ibsd.types import InputError

PARTS = ("scale", "hiding", "forgetting")

LEAST_DROP = 0.1
"""A drop below this share of plain's own bound is no drop, and has no shares."""

LEAST_FORGETTING = 0.5
"""Least share of forgetting in the drop of a run that counts."""

LEAST_FALL = 0.05
"""Least share of plain's fresh gain that is gone in a run that counts. Two fits of one student
differ by 1 to 4 %."""

_Figure = Literal["bound", "gain"]


@dataclass(frozen=True)
class DropParts:
    """The drop of one figure and its parts, in nats per element."""

    drop: float
    scale: float
    hiding: float
    forgetting: float
    shares: dict[str, float] | None
    """{part: share of the drop}; None where there is no drop."""
    fresh: float
    """The drop under fresh estimators on nodes that are not standardised."""


@dataclass(frozen=True)
class InformationDrop:
    """What fell from one reading to another."""

    bound: DropParts
    """Parts of the drop of the bound with negatives "others"."""
    gain: DropParts


@dataclass(frozen=True)
class Decomposition:
    """The drop from a student without the penalty to one with it."""

    total: InformationDrop
    """Summed over the links."""
    links: tuple[InformationDrop, ...]
    counts: bool
    """Whether the run counts as IBSD: its own estimators see a drop of the bound, at least half of
    it is forgetting, the gain of fresh estimators fell as well, and all fresh fits converged."""
    why: str
    """The reason for `counts`, in a sentence."""


def decompose(plain: Reading, ibsd: Reading) -> Decomposition:
    """The drop from `plain` to `ibsd`, for each link and in total.

    Errors: InputError where a reading has no trained estimators, or the readings are of different
    patches, resolutions or numbers of links.
    """
    if plain.trained is None or ibsd.trained is None:
        raise InputError(
            "decomposition: both readings need their run's estimators; train plain by IBSD with "
            "lambda_mi = 0"
        )

    def setup(reading: Reading) -> tuple[dict[str, Any], float, int]:
        return reading.setup, reading.resolution, len(reading.scale)

    if setup(plain) != setup(ibsd):
        raise InputError("decomposition: the readings have different patches, seeds or resolutions")
    num_links = len(plain.scale) - 1
    links = tuple(_information_drop(plain, ibsd, [k]) for k in range(num_links))
    total = _information_drop(plain, ibsd, range(num_links))
    fall = total.gain.forgetting / max(sum(plain.standardised.gain), 1e-9)
    counts, why = _verdict(total.bound, fall, plain.converged and ibsd.converged)
    return Decomposition(total, links, counts, why)


def _information_drop(plain: Reading, ibsd: Reading, links: Sequence[int]) -> InformationDrop:
    return InformationDrop(_parts(plain, ibsd, "bound", links), _parts(plain, ibsd, "gain", links))


def _parts(plain: Reading, ibsd: Reading, figure: _Figure, links: Sequence[int]) -> DropParts:
    """The parts of the drop of one figure, summed over some links."""
    t_p, r_p, s_p, fresh_p = _sums(plain, figure, links)
    t_i, r_i, s_i, fresh_i = _sums(ibsd, figure, links)
    drop = t_p - t_i
    scale = (r_i - t_i) - (r_p - t_p)
    hiding = (s_i - r_i) - (s_p - r_p)
    forgetting = s_p - s_i
    shares: dict[str, float] | None = None
    if drop > LEAST_DROP * abs(t_p):
        parts = zip(PARTS, (scale, hiding, forgetting), strict=True)
        shares = {name: part / drop for name, part in parts}
    return DropParts(drop, scale, hiding, forgetting, shares, fresh_p - fresh_i)


def _sums(
    reading: Reading, figure: _Figure, links: Sequence[int]
) -> tuple[float, float, float, float]:
    """T, R, S and the fresh estimators' sum over some links."""

    def summed(information: LinkInformation | None) -> float:
        assert information is not None
        values = information.bound if figure == "bound" else information.gain
        return sum(values[k] for k in links)

    t, r = summed(reading.trained), summed(reading.recalibrated)
    return t, r, summed(reading.standardised), summed(reading.fresh)


def _verdict(bound: DropParts, fall: float, converged: bool) -> tuple[bool, str]:
    """Whether the drop counts, and why. `fall`: the share of plain's fresh gain that is gone."""
    drop = bound.drop
    shares = bound.shares
    if shares is None:
        return False, (
            f"the run's own estimators see no drop of the bound ({drop:+.3g} nats per element)"
        )
    parts = ", ".join(f"{shares[name]:.0%} is {name}" for name in PARTS)
    sentence = f"of a drop of {drop:.3g} nats per element, {parts}"
    if not converged:
        return False, f"{sentence}; but a fresh fit did not converge: read again with more steps"
    if shares["forgetting"] < LEAST_FORGETTING:
        return False, f"{sentence}; fresh estimators do not see enough of it"
    if fall < LEAST_FALL:
        return False, f"{sentence}; but fresh estimators still predict the earlier nodes"
    return True, sentence
