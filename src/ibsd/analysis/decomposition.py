r"""Where a lower bound comes from: forgetting, hiding, or smaller features.

T, R, S: a link's bound under the run's own estimators, under the same after the best change of
units, and under fresh estimators on standardised nodes (`Reading.trained`, `.recalibrated`,
`.standardised`), of a student without the penalty (p) and of one with it (i). The drop

    T_p - T_i  =  [ (R_i - T_i) - (R_p - T_p) ]    scale:       comes back when the estimators may
    change units
                + [ (S_i - R_i) - (S_p - R_p) ]    hiding:      comes back only with new estimators:
                those of the run lost sight of it + [  S_p - S_i ]                   forgetting:
                new estimators, blind to units, miss it too

is a telescoping sum, exact for every link and for their total. A part can be negative (fresh
estimators see *more* than before), and another then exceeds the whole. The same sum is made of the
gain (predictive information), which places of tiny spread cannot inflate. A student without the
penalty is one whose estimators watch with lambda_mi = 0.
"""

from __future__ import annotations

from typing import Any

from ibsd.analysis.information_probe import Figures, Reading
from ibsd.types import InputError

PARTS = ("scale", "hiding", "forgetting")

LEAST_DROP = 0.1
"""Of plain's own bound: a smaller drop is none to speak of, and has no shares."""

LEAST_FORGETTING = 0.5
"""Of the drop: so much must be forgetting in a run that counts."""

LEAST_FALL = 0.05
"""Of plain's fresh gain: so much must be gone in a run that counts. Two fits of one student differ
by 1 to 4 %."""


def account(plain: Reading, ibsd: Reading) -> dict[str, Any]:
    """The drop from `plain` to `ibsd` and its parts, ready for JSON.

    Returns:
        total, links: the sum over links, and each link: {"bound": ..., "gain": ...}, each with
            `drop`, its parts `scale`, `hiding`, `forgetting`, their `shares` of the drop (None
            where the drop is none to speak of), and `fresh`, the drop that fresh estimators see on
            nodes that are not standardised. In nats per element; bounds with negatives "others".
        counts: whether the run counts as IBSD: its own estimators see a drop of the bound, at least
            half of it is forgetting, the gain of fresh estimators fell as well, and all fresh fits
            had converged. `why` says it in a sentence.

    Errors: InputError where a reading has no trained estimators, or the readings are of different
    patches, resolutions or numbers of links.
    """
    if plain.trained is None or ibsd.trained is None:
        raise InputError(
            "account: both readings need the estimators of their own run; train the plain one with lambda_mi = 0, so that they watch"
        )
    if (plain.facts, plain.resolution, len(plain.scale)) != (
        ibsd.facts,
        ibsd.resolution,
        len(ibsd.scale),
    ):
        raise InputError(
            "account: the readings were made with other patches, seeds or resolutions; make them alike"
        )
    num_links = len(plain.scale) - 1
    links = [
        {figure: parts(plain, ibsd, figure, range(k, k + 1)) for figure in ("bound", "gain")}
        for k in range(num_links)
    ]
    total = {figure: parts(plain, ibsd, figure, range(num_links)) for figure in ("bound", "gain")}
    fall = total["gain"]["forgetting"] / max(sum(plain.standardised.gain), 1e-9)
    counts, why = verdict(total["bound"], fall, plain.converged and ibsd.converged)
    return {"total": total, "links": links, "counts": counts, "why": why}


def parts(plain: Reading, ibsd: Reading, figure: str, links: range) -> dict[str, Any]:
    """The parts of the drop of one figure, summed over some links."""

    def both(kind: str) -> tuple[float, float]:
        figures: list[Figures] = [getattr(reading, kind) for reading in (plain, ibsd)]
        before, after = (sum(getattr(each, figure)[k] for k in links) for each in figures)
        return before, after

    (t_p, t_i), (r_p, r_i), (s_p, s_i), (fresh_p, fresh_i) = map(
        both, ("trained", "recalibrated", "standardised", "fresh")
    )
    drop = t_p - t_i
    amounts = {
        "scale": (r_i - t_i) - (r_p - t_p),
        "hiding": (s_i - r_i) - (s_p - r_p),
        "forgetting": s_p - s_i,
    }
    shares = (
        {name: amounts[name] / drop for name in PARTS} if drop > LEAST_DROP * abs(t_p) else None
    )
    return {"drop": drop, **amounts, "shares": shares, "fresh": fresh_p - fresh_i}


def verdict(bound: dict[str, Any], fall: float, converged: bool) -> tuple[bool, str]:
    """Whether the drop counts, and why. `fall`: the part of plain's fresh gain that is gone."""
    drop, shares = bound["drop"], bound["shares"]
    if shares is None:
        return (
            False,
            f"the run's own estimators see no drop of the bound to speak of ({drop:+.3g} nats per element)",
        )
    told = f"of a drop of {drop:.3g} nats per element, " + ", ".join(
        f"{shares[name]:.0%} is {name}" for name in PARTS
    )
    if not converged:
        return False, f"{told}; but a fresh fit had not converged, so read again with more steps"
    if shares["forgetting"] < LEAST_FORGETTING:
        return False, f"{told}; fresh estimators do not see enough of it"
    if fall < LEAST_FALL:
        return (
            False,
            f"{told}; but fresh estimators predict the earlier nodes nearly as well as before",
        )
    return True, told
