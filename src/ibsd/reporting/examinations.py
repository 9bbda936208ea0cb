"""The parts of a comparison's page on finished networks: the camera probe, and what estimators
see."""

from __future__ import annotations

from ibsd.analysis.decomposition import LEAST_DROP, LEAST_FALL, LEAST_FORGETTING, PARTS
from ibsd.comparison.results import ALL, DecompositionLine, ProbeLine, Results
from ibsd.reporting.document import Block, Bullets, Table, Text
from ibsd.reporting.tables import primary_differences

PROBE = """A linear classifier and a small network guess the camera. They see each node's channel
means and deviations, on crops of photographs that they were not fitted to. The features are those
of the averaged weights. Beside them stand the features of the initial random weights, and
statistics of the LR pixels. Some photographs may have been trained on, the same ones for every arm.
Differences are to the baseline of the same seed, intervals over the seeds.
**Rule, set beforehand:** the accuracy that counts is the mean over nodes and classifiers. A lower
accuracy counts only at no lower PSNR (the primary figure on every unseen set)."""

DECOMPOSITION = f"""All values come from held-out training photographs and the last step's weights,
summed over the links, in nats per element, averaged over the seeds. A pair of values is the
reference's, then the arm's. The reference is an arm of the same view whose estimators only watch
(its student equals the baseline's bit for bit), else the baseline. *Gain* is the likelihood that
freshly fitted estimators win over knowing nothing; it is the steadier figure. *Fresh bound* is
their bound, *own bound* that of the run's own estimators. The drop of the own bound has three
parts: *scale* comes back with the best change of units, *hiding* only with new estimators,
*forgetting* not at all. A run counts as IBSD if at least {LEAST_FORGETTING:.0%} of the drop is
forgetting and the gain fell by at least {LEAST_FALL:.0%}."""


def probe_blocks(results: Results) -> list[Block]:
    """The camera probe of every setting; none without a probe."""
    blocks: list[Block] = []
    for setting in results.design.settings:
        lines = [line for line in results.probes if line.setting == setting]
        if lines:
            blocks.append(Text(f"`{setting}`, chance {lines[0].chance:.3f}:"))
            blocks.append(probe_table(results, lines))
            blocks += node_table(lines).narrow()
    return [Text(PROBE), *blocks] if blocks else []


def probe_table(results: Results, lines: list[ProbeLine]) -> Table:
    """One row per arm: the mean over nodes and classifiers with its interval, and the verdict."""
    rows: list[list[str]] = []
    for line in lines:
        if (line.node, line.classifier) != (ALL, ALL):
            continue
        difference = "" if line.difference is None else f"{line.difference:+.3f}"
        interval = "" if line.difference is None else "no interval"
        if line.t_interval:
            interval = f"{line.t_interval[0]:+.3f} to {line.t_interval[1]:+.3f}"
        accuracy = f"{line.accuracy:.3f}"
        seeds = str(line.num_seeds)
        verdict = probe_verdict(results, line)
        rows.append([line.arm, accuracy, difference, interval, seeds, verdict])
    return Table(["arm", "accuracy", "difference", "t interval", "seeds", "reading"], rows)


def node_table(lines: list[ProbeLine]) -> Table:
    """One row per arm: the accuracy from every node by either classifier, averaged over the
    seeds."""
    accuracies = {(line.arm, line.node, line.classifier): line.accuracy for line in lines}
    keys = {(line.node, line.classifier) for line in lines}
    nodes = sorted((key for key in keys if ALL not in key), key=lambda key: (key[1], key[0]))

    def cell(arm: str, key: tuple[str, str]) -> str:
        return f"{accuracies[arm, *key]:.3f}" if (arm, *key) in accuracies else ""

    arms = dict.fromkeys(line.arm for line in lines)
    rows = [[arm, *(cell(arm, key) for key in nodes)] for arm in arms]
    return Table(["arm", *(f"{node} {classifier}" for node, classifier in nodes)], rows)


def probe_verdict(results: Results, line: ProbeLine) -> str:
    """The rule, applied to an arm's mean over nodes and classifiers."""
    if line.difference is None or line.arm not in results.design.arms:
        return ""
    if line.t_interval is None:
        return "no interval"
    if line.t_interval[1] >= 0:
        return "higher" if line.t_interval[0] > 0 else "no fall shown"
    tests = results.design.settings[line.setting].whole_tests()
    unseen = [test for test, role in tests.items() if role == "unseen"]
    rows = [row for test in unseen for row in primary_differences(results, line.setting, test)]
    compared = [row for row in rows if row.arm == line.arm]
    if len(compared) < len(unseen):
        return "lower, but PSNR is not compared"
    worst = min(compared, key=lambda row: row.mean)
    if worst.mean < 0:
        return f"lower, but so is PSNR ({worst.mean:+.3f} on {worst.test}): does not count"
    return "lower at no lower PSNR: counts"


def decomposition_blocks(results: Results) -> list[Block]:
    """What estimators see, for every setting; none without examinations."""
    blocks: list[Block] = []
    for setting in results.design.settings:
        lines = [line for line in results.decompositions if line.setting == setting]
        if lines:
            blocks.append(Text(f"`{setting}`:"))
            blocks.append(estimators_table(lines))
            blocks.append(parts_table(lines))
            reasons = ((line.arm, seed, why) for line in lines for seed, why in line.why.items())
            blocks.append(Bullets([f"{arm}, seed {seed}: {why}." for arm, seed, why in reasons]))
    return [Text(DECOMPOSITION), *blocks] if blocks else []


def estimators_table(lines: list[DecompositionLine]) -> Table:
    """One row per arm: what fresh estimators and the run's own see."""
    rows: list[list[str]] = []
    for line in lines:
        own = "" if line.own is None else _pair(line.own)
        figures = (_pair(line.gain), _pair(line.fresh), own)
        rows.append([line.arm, line.against, str(line.num_seeds), *figures])
    return Table(["arm", "reference", "seeds", "gain", "fresh bound", "own bound"], rows)


def parts_table(lines: list[DecompositionLine]) -> Table:
    """One row per arm: the parts of the own bound's drop, and whether the run counts."""
    rows = [[line.arm, *(_part(line, name) for name in PARTS), _counts(line)] for line in lines]
    return Table(["arm", *(f"{part} (share)" for part in PARTS), "counts as IBSD"], rows)


def _pair(values: tuple[float, float]) -> str:
    return f"{values[0]:.3f} to {values[1]:.3f}"


def _part(line: DecompositionLine, name: str) -> str:
    if line.parts is None or line.own is None:
        return ""
    drop = line.own[0] - line.own[1]
    share = f" ({line.parts[name] / drop:.0%})" if drop > LEAST_DROP * abs(line.own[0]) else ""
    return f"{line.parts[name]:+.3f}{share}"


def _counts(line: DecompositionLine) -> str:
    if line.own is None:
        return "no estimators that learn"
    all_or_none = {0: "no", line.num_seeds: "yes"}
    return all_or_none.get(line.counts, f"{line.counts} of {line.num_seeds} seeds")
