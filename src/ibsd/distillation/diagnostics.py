"""Alarms of a run with an information term: what its figures warn of, in sentences that say what to
change (METHOD 6)."""

from __future__ import annotations


def alarms(
    first: dict[str, float], now: dict[str, float], penalised: bool, estimators_learn: bool = True
) -> list[str]:
    """Sentences for the user, most urgent first; none for a healthy run.

    Args:
        first: figures from when the penalty began, as `IBSD.figures` names them.
        now: the latest figures.
        penalised: whether the bound carries weight at the moment.
        estimators_learn: false where they are frozen as a control, which makes their bound and
            likelihood meaningless on purpose.
    """
    if not penalised:
        return []
    sentences = []
    for link in sorted(name.removeprefix("bound/") for name in now if name.startswith("bound/")):
        if estimators_learn:
            sentences += estimator_alarms(link, first, now)
        scale = f"scale/F{int(link.removeprefix('link')) - 1}"
        if now[scale] < 0.25 * first[scale]:
            sentences.append(
                f"{link}: features of {scale.removeprefix('scale/')} shrank to {100 * now[scale] / first[scale]:.0f} % of their scale, "
                "which lowers the bound without forgetting anything; lower lambda_mi"
            )
    if (share := now.get("gradient_share/bound", 0.0)) > 1:
        sentences.append(
            f"the bound's gradient is {share:.1f} times that of L1, so it rules the training; lower lambda_mi"
        )
    return sentences


def estimator_alarms(link: str, first: dict[str, float], now: dict[str, float]) -> list[str]:
    """What the bound and likelihood of one link warn of."""
    bound, bound_first, nll, nll_first = (
        now[f"bound/{link}"],
        first[f"bound/{link}"],
        now[f"nll/{link}"],
        first[f"nll/{link}"],
    )
    sentences = []
    if bound < -0.05:
        sentences.append(
            f"{link}: the bound is negative ({bound:.2f}), so its estimator lags behind the student; "
            "raise inner_steps or estimator_learning_rate"
        )
    elif bound > 100 and bound > 10 * max(bound_first, 1.0):
        sentences.append(
            f"{link}: the bound exploded to {bound:.0f} nats per element; raise spread_floor, or lower estimator_learning_rate"
        )
    if bound_first > 0.5 and bound < 0.1 * bound_first and nll > nll_first + 1:
        sentences.append(
            f"{link}: the bound fell to {bound:.2f} while the likelihood loss rose from {nll_first:.1f} to {nll:.1f}: "
            "the student may be hiding from the estimators rather than forgetting; lower lambda_mi"
        )
    return sentences
