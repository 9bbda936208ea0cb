"""Alarms of a run with an information term: what its figures warn of, in sentences that say what to change (METHOD 6)."""

from __future__ import annotations


def alarms(first: dict[str, float], now: dict[str, float], penalised: bool) -> list[str]:
    """Sentences for the user, most urgent first; none for a healthy run.

    Args:
        first: figures from when the penalty began, as `IBSD.figures` names them.
        now: the latest figures.
        penalised: whether the bound carries weight at the moment.
    """
    if not penalised:
        return []
    sentences = []
    for name in sorted(name for name in now if name.startswith("bound/")):
        link = name.removeprefix("bound/")
        nll, scale = f"nll/{link}", f"scale/F{int(link.removeprefix('link')) - 1}"
        if now[name] < -0.05:
            sentences.append(
                f"{link}: the bound is negative ({now[name]:.2f}), so its estimator lags behind the student; raise inner_steps or estimator_learning_rate"
            )
        elif now[name] > 100 and now[name] > 10 * max(first[name], 1.0):
            sentences.append(
                f"{link}: the bound exploded to {now[name]:.0f} nats per element; raise spread_floor, or lower estimator_learning_rate"
            )
        if first[name] > 0.5 and now[name] < 0.1 * first[name] and now[nll] > first[nll] + 1:
            sentences.append(
                f"{link}: the bound fell to {now[name]:.2f} while the likelihood loss rose from {first[nll]:.1f} to {now[nll]:.1f}: "
                "the student may be hiding from the estimators rather than forgetting; lower lambda_mi"
            )
        if now[scale] < 0.25 * first[scale]:
            sentences.append(
                f"{link}: features of {scale.removeprefix('scale/')} shrank to {100 * now[scale] / first[scale]:.0f} % of their scale, "
                "which lowers the bound without forgetting anything; lower lambda_mi"
            )
    if (share := now.get("gradient_share/bound", 0.0)) > 1:
        sentences.append(f"the bound's gradient is {share:.1f} times that of L1, so it rules the training; lower lambda_mi")
    return sentences
