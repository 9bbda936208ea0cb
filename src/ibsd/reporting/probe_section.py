"""The page's part on the camera probe: how often a classifier guesses the camera, and whether a
fall counts."""

from __future__ import annotations

from ibsd.comparison.examined import ALL
from ibsd.comparison.results import ProbeLine, Results
from ibsd.comparison.run import AVERAGED
from ibsd.reporting.comparison_rows import Table, markdown, select

ABOUT = """A linear classifier and a small network guess from each node's channel means and deviations, on crops of photographs that they have
not seen, which camera made the picture; the averaged weights' features, and beside them those of the initial random weights and
statistics of the LR pixels. Photographs that were trained on may be among them, the same ones for every arm. Differences are to the
baseline of the same seed, intervals over the seeds. **Rule, set beforehand:** the figure that counts is the mean over nodes and
classifiers, and a lower accuracy counts only at no lower PSNR (the primary figure on every unseen set)."""


def probe_section(results: Results) -> str:
    parts = [f"{ABOUT}\n"]
    for setting in results.design.settings:
        lines = [line for line in results.probes if line.setting == setting]
        if lines:
            parts.append(
                f"`{setting}`, chance {lines[0].chance:.3f}:\n\n{markdown(probe_table(results, lines))}"
            )
    return "\n".join(parts)


def probe_table(results: Results, lines: list[ProbeLine]) -> Table:
    """One line per arm: the mean with its interval, the reading, then every node by either
    classifier, averaged over the seeds."""
    cells = {(line.arm, line.node, line.classifier): line for line in lines}
    nodes = [
        key
        for key in dict.fromkeys((line.node, line.classifier) for line in lines)
        if ALL not in key
    ]
    nodes.sort(key=lambda key: (key[1], key[0]))
    rows = []
    for arm in dict.fromkeys(line.arm for line in lines):
        whole = cells[arm, ALL, ALL]
        difference = "" if whole.difference is None else f"{whole.difference:+.3f}"
        interval = "" if whole.difference is None else "no interval"
        if whole.t_interval:
            interval = f"{whole.t_interval[0]:+.3f} to {whole.t_interval[1]:+.3f}"
        each = [f"{cells[arm, *key].accuracy:.3f}" if (arm, *key) in cells else "" for key in nodes]
        rows.append(
            [
                arm,
                f"{whole.accuracy:.3f}",
                difference,
                interval,
                str(whole.num_seeds),
                probe_reading(results, whole),
                *each,
            ]
        )
    return [
        "arm",
        "accuracy",
        "difference",
        "t interval",
        "seeds",
        "reading",
        *(f"{node} {name}" for node, name in nodes),
    ], rows


def probe_reading(results: Results, whole: ProbeLine) -> str:
    """The rule, applied."""
    if whole.difference is None or whole.arm not in results.design.arms:
        return ""
    if whole.t_interval is None:
        return "no interval"
    if whole.t_interval[1] >= 0:
        return "higher" if whole.t_interval[0] > 0 else "no fall shown"
    unseen = [
        test
        for test, role in results.design.settings[whole.setting].whole_tests().items()
        if role == "unseen"
    ]
    compared = [
        each
        for test in unseen
        for each in select(results, whole.setting, test, AVERAGED, results.design.primary)
        if each.arm == whole.arm
    ]
    if len(compared) < len(unseen):
        return "lower, but PSNR is not compared"
    worst = min(compared, key=lambda each: each.mean)
    if worst.mean < 0:
        return f"lower, but so is PSNR ({worst.mean:+.3f} on {worst.test}): does not count"
    return "lower at no lower PSNR: counts"
