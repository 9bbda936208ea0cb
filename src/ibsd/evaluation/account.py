r"""Where a lower bound comes from: forgetting, hiding, or smaller features.

T, R, S: a link's bound under the run's own estimators, under the same after the best change of units, and under fresh estimators on
standardised nodes (`Reading.trained`, `.recalibrated`, `.standardised`), of a student without the penalty (p) and of one with it (i). The
drop

    T_p - T_i  =  [ (R_i - T_i) - (R_p - T_p) ]    scale:       comes back when the estimators may change units
                + [ (S_i - R_i) - (S_p - R_p) ]    hiding:      comes back only with new estimators: those of the run lost sight of it
                + [  S_p - S_i ]                   forgetting:  new estimators, blind to units, miss it too

is a telescoping sum, exact for every link and for their total. A part can be negative (fresh estimators see *more* than before), and
another then exceeds the whole. A student without the penalty is one whose estimators watch with lambda_mi = 0.

A run counts as IBSD only where fresh estimators see the drop too: its trained estimators see a drop, at least half of it is forgetting, the
fresh estimators' gain (predictive information, which spreads near 0 cannot inflate) fell as well, and all fresh fits had converged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ibsd.evaluation.information_probe import Figures, Reading
from ibsd.types import InputError

PARTS = ("scale", "hiding", "forgetting")


def account(plain: Reading, ibsd: Reading, least_forgetting: float = 0.5) -> dict[str, Any]:
    """The drop of the bound from `plain` to `ibsd` and its parts.

    Returns, ready for JSON:
        total, links: {drop, scale, hiding, forgetting, shares, fresh_drop, gain_drop}: of the sum over links, and of each. In nats per
        element, bounds
            with negatives "others"; `shares` are the parts over the drop, None without a drop; `fresh_drop` is that of fresh estimators
            on the nodes as they are; `gain_drop` that of the gain on standardised nodes.
        counts: whether the run counts as IBSD; `why`: one sentence.

    Errors: InputError where a reading has no trained estimators, or the readings are of different patches, floors or numbers of links.
    """
    if plain.trained is None or plain.recalibrated is None or ibsd.trained is None or ibsd.recalibrated is None:
        raise InputError(
            "account: both readings need the estimators of their own run; train the plain one with lambda_mi = 0, so that they watch"
        )
    if (plain.facts, plain.spread_floor, len(plain.scale)) != (ibsd.facts, ibsd.spread_floor, len(ibsd.scale)):
        raise InputError("account: the readings were made with other patches, seeds or spread floors; make them alike")
    rows = [[getattr(figures, figure)[k] for figures, figure in columns(plain, ibsd)] for k in range(len(plain.scale) - 1)]
    links = [parts(row) for row in rows]
    total = parts([sum(column) for column in zip(*rows, strict=True)])
    converged = plain.converged and ibsd.converged
    counts, why = verdict(total, converged, least_forgetting)
    return {"total": total, "links": links, "counts": counts, "why": why}


def columns(plain: Reading, ibsd: Reading) -> list[tuple[Figures | None, str]]:
    bounds = [
        (getattr(reading, kind), "bound") for kind in ("trained", "recalibrated", "standardised", "fresh") for reading in (plain, ibsd)
    ]
    return [*bounds, (plain.standardised, "gain"), (ibsd.standardised, "gain")]


def parts(row: Sequence[float]) -> dict[str, Any]:
    """The parts of one drop, from the ten figures of `columns`."""
    t_p, t_i, r_p, r_i, s_p, s_i, fresh_p, fresh_i, gain_p, gain_i = row
    drop = t_p - t_i
    figures: dict[str, Any] = {
        "drop": drop,
        "scale": (r_i - t_i) - (r_p - t_p),
        "hiding": (s_i - r_i) - (s_p - r_p),
        "forgetting": s_p - s_i,
    }
    figures["shares"] = {name: figures[name] / drop for name in PARTS} if drop > 0 else None
    return figures | {"fresh_drop": fresh_p - fresh_i, "gain_drop": gain_p - gain_i}


def verdict(total: dict[str, Any], converged: bool, least_forgetting: float) -> tuple[bool, str]:
    """Whether the drop counts, and why."""
    drop, shares = total["drop"], total["shares"]
    if shares is None:
        return False, f"the run's own estimators see no drop of the bound ({drop:+.3g} nats per element)"
    told = f"of a drop of {drop:.3g} nats per element, " + ", ".join(f"{shares[name]:.0%} is {name}" for name in PARTS)
    if not converged:
        return False, f"{told}; but a fresh fit had not converged, so read again with more steps"
    if shares["forgetting"] < least_forgetting:
        return False, f"{told}; fresh estimators do not see enough of it"
    if total["gain_drop"] <= 0:
        return False, f"{told}; but fresh estimators predict the earlier nodes no worse than before"
    return True, told
