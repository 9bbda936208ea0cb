"""The page's part on estimators: what the run's own and fresh ones see, and which part of a fall is
forgetting."""

from __future__ import annotations

from ibsd.analysis.decomposition import LEAST_DROP, LEAST_FALL, LEAST_FORGETTING, PARTS
from ibsd.comparison.results import DecompositionLine, Results
from ibsd.reporting.comparison_rows import Table, markdown

ABOUT = f"""Read on held-out training photographs from the last step's weights, summed over the links, nats per element, averaged over the seeds;
first the arm it is held against, then the arm. *Against* is an arm of the same view whose estimators only watch (a student equal to
the baseline's bit for bit), else the baseline. *Gain* is the likelihood that estimators fitted afresh win over knowing nothing, the
steadier figure; *fresh bound* is theirs, *own bound* that of the run's own estimators, whose drop is split: *scale* comes back with
the best change of units, *hiding* only with new estimators, *forgetting* not at all. A run counts as IBSD where at least
{LEAST_FORGETTING:.0%} of the drop is forgetting and the gain fell by at least {LEAST_FALL:.0%}."""


def account_section(results: Results) -> str:
    parts = [f"{ABOUT}\n"]
    for setting in results.design.settings:
        lines = [line for line in results.decompositions if line.setting == setting]
        if lines:
            parts.append(f"`{setting}`:\n\n{markdown(account_table(lines))}")
            parts.append(
                "".join(
                    f"- {line.arm}, seed {seed}: {why}.\n"
                    for line in lines
                    for seed, why in line.why.items()
                )
            )
    return "\n".join(part for part in parts if part)


def account_table(lines: list[DecompositionLine]) -> Table:
    """One line per arm."""
    header = [
        "arm",
        "against",
        "seeds",
        "gain",
        "fresh bound",
        "own bound",
        *(f"{part} (share)" for part in PARTS),
        "counts as IBSD",
    ]
    rows = []
    for line in lines:
        pairs = [f"{before:.3f} to {after:.3f}" for before, after in (line.gain, line.fresh)]
        own = "" if line.own is None else f"{line.own[0]:.3f} to {line.own[1]:.3f}"
        rows.append(
            [
                line.arm,
                line.against,
                str(line.num_seeds),
                *pairs,
                own,
                *(_part(line, name) for name in PARTS),
                _counts(line),
            ]
        )
    return header, rows


def _part(line: DecompositionLine, name: str) -> str:
    if line.parts is None or line.own is None:
        return ""
    drop = line.own[0] - line.own[1]
    share = f" ({line.parts[name] / drop:.0%})" if drop > LEAST_DROP * abs(line.own[0]) else ""
    return f"{line.parts[name]:+.3f}{share}"


def _counts(line: DecompositionLine) -> str:
    if line.own is None:
        return "no estimators that follow"
    return {0: "no", line.num_seeds: "yes"}.get(
        line.counts, f"{line.counts} of {line.num_seeds} seeds"
    )
