"""Tables of a comparison: differences, contrasts, degradations, metrics, diagnostics, cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ibsd.comparison.bands import BANDS
from ibsd.comparison.results import Difference, History, Results
from ibsd.evaluation.scores import BICUBIC
from ibsd.reporting.document import Table
from ibsd.reporting.format import (
    PAIRED_DECIMALS,
    difference_text,
    interval_text,
    metric_title,
    score_text,
)
from ibsd.training.result import AVERAGED
from ibsd.types import counted

UNKNOWN = "-"
"""A figure that older runs did not record."""
WORST, BELOW = "worst", "below"
OTHER_FIGURES = {
    WORST: "worst tenth",
    BELOW: "below bicubic",
    "basicsr-y.ssim_y": "SSIM-Y",
    "ibsd-cdc.lpips": "LPIPS",
    f"{BANDS}.psnr_1": "finest band",
    f"{BANDS}.psnr_2": "second",
    f"{BANDS}.psnr_3": "third",
    f"{BANDS}.psnr_4": "fourth",
    f"{BANDS}.psnr_rest": "rest",
}
"""{figure: its column}"""


def primary_differences(results: Results, setting: str, test: str) -> list[Difference]:
    """The differences to the baseline on one test set, in the primary metric of the averaged
    weights."""
    wanted = (setting, test, AVERAGED, results.design.primary)
    return [
        row
        for row in results.differences
        if (row.setting, row.test, row.weights, row.metric) == wanted
    ]


def shown_scores(results: Results, setting: str) -> dict[tuple[str, str, str], float]:
    """{(test, metric, arm): mean} of bicubic and of the averaged weights."""
    return {
        (score.test, score.metric, score.arm): score.mean
        for score in results.mean_scores
        if score.setting == setting and score.weights in (AVERAGED, BICUBIC)
    }


def verdict_text(row: Difference) -> str:
    """The verdict, and what weakens it. Behind "no difference shown" stands the smallest difference
    that the design could have shown."""
    if row.kind == "a/a":
        return "A/A"
    parts = [row.verdict]
    if row.verdict == "no difference shown" and row.smallest_detectable is not None:
        smallest = score_text(row.metric, row.smallest_detectable, PAIRED_DECIMALS)
        parts = [f"{row.verdict} ({smallest})"]
    if row.kind == "unpaired":
        parts.append("unpaired")
    claimed = row.verdict in ("better", "worse")
    if claimed and row.noise_floor is not None and abs(row.mean) <= row.noise_floor:
        parts.append("within the noise floor")
    return ", ".join(parts)


def difference_table(results: Results, setting: str, test: str) -> Table:
    """One row per arm on one test set: its score, its difference to the baseline with both
    intervals, images won and lost, and the verdict. The primary metric of the averaged weights."""
    design = results.design
    metric = results.design.primary
    scores = {
        arm: score_text(metric, mean, PAIRED_DECIMALS)
        for (scored, name, arm), mean in shown_scores(results, setting).items()
        if (scored, name) == (test, metric)
    }
    differences = {row.arm: row for row in primary_differences(results, setting, test)}
    rows = [[BICUBIC, scores[BICUBIC], *[""] * 5]] if BICUBIC in scores else []
    for arm in design.arms:
        if arm not in scores:
            continue
        if arm == design.baseline:
            rows.append([f"{arm} (baseline)", scores[arm], *[""] * 5])
        elif arm not in differences:
            rows.append([arm, scores[arm], *[""] * 4, "not compared"])
        else:
            rows.append([arm, scores[arm], *_difference_cells(differences[arm])])
    title = f"{metric_title(metric)} ({metric.rpartition('.')[0]})"
    header = ["arm", title, "difference", "t interval", "bootstrap", "won : lost", "reading"]
    return Table(header, rows)


def _difference_cells(row: Difference) -> list[str]:
    return [
        difference_text(row.metric, row.mean, PAIRED_DECIMALS),
        interval_text(row.metric, row.t_interval, PAIRED_DECIMALS),
        interval_text(row.metric, row.bootstrap_interval, PAIRED_DECIMALS),
        f"{row.wins} : {row.losses}",
        verdict_text(row),
    ]


def other_figures_table(results: Results, setting: str, test: str) -> Table:
    """One row per arm on one test set, averaged weights: the worst tenth over bicubic, the share of
    images below bicubic, SSIM, LPIPS, and the PSNR-Y of each wavelet band.

    The last three are scores of bicubic and the baseline. For the other arms they are differences,
    marked where both intervals exclude zero. There are no rows if the runs recorded neither bicubic
    by image nor the bands.
    """
    design = results.design
    here = (setting, test)
    cells = {
        (metric, arm): score_text(metric, mean)
        for (scored, metric, arm), mean in shown_scores(results, setting).items()
        if scored == test
    }
    cells |= {
        (row.metric, row.arm): _marked(row)
        for row in results.differences
        if (row.setting, row.test, row.weights) == (*here, AVERAGED)
    }
    for harm in results.harms:
        if (harm.setting, harm.test) == here:
            cells[WORST, harm.arm] = difference_text(design.primary, harm.worst_tenth)
            cells[BELOW, harm.arm] = f"{harm.below:.0%}"
    metrics = {metric for metric, _ in cells}
    if not metrics & {WORST, *(metric for metric in metrics if metric.startswith(BANDS))}:
        return Table([], [])
    columns = {metric: title for metric, title in OTHER_FIGURES.items() if metric in metrics}
    rows = [
        [arm, *(cells.get((metric, arm), UNKNOWN) for metric in columns)]
        for arm in (BICUBIC, *design.arms)
        if any((metric, arm) in cells for metric in columns)
    ]
    return Table(["arm", *columns.values()], rows)


def design_text(rows: Sequence[Difference]) -> str:
    """What the differences of one test set rest on: images, seeds, noise floor. Arms that have
    other numbers of seeds are named.

    Example: "42 images; 5 seeds, noise floor 0.025; 3 seeds, noise floor 0.033: aa"
    """
    if not rows:
        return ""
    groups: dict[str, list[str]] = {}
    for row in rows:
        size = counted(row.num_seeds, "seed")
        if row.noise_floor is not None:
            floor = score_text(row.metric, row.noise_floor, PAIRED_DECIMALS)
            size += f", noise floor {floor}"
        groups.setdefault(size, []).append(row.arm)
    usual = max(groups, key=lambda size: len(groups[size]))
    others = [f"{size}: {', '.join(arms)}" for size, arms in groups.items() if size != usual]
    return "; ".join([counted(rows[0].num_images, "image"), usual, *others])


def degradation_table(results: Results, setting: str, whole: str) -> Table:
    """The degradation matrix behind a test set, one row per degradation: scores of bicubic and the
    baseline, and every arm's mean difference to the baseline, marked where both intervals exclude
    zero."""
    design = results.design
    metric = results.design.primary
    scores = {
        (test, arm): score_text(metric, mean, PAIRED_DECIMALS)
        for (test, name, arm), mean in shown_scores(results, setting).items()
        if name == metric
    }
    tests = [
        part
        for part, mean in design.settings[setting].parts.items()
        if mean == whole and (part, design.baseline) in scores
    ]
    differences = {
        (test, row.arm): row
        for test in tests
        for row in primary_differences(results, setting, test)
    }
    arms = list(dict.fromkeys(arm for _, arm in differences))
    rows = [
        [
            test.removeprefix(f"{whole}/"),
            scores[test, BICUBIC],
            scores[test, design.baseline],
            *(_marked(differences.get((test, arm))) for arm in arms),
        ]
        for test in tests
    ]
    names = [f"{arm} less {design.baseline}" for arm in arms]
    return Table(["degradation", BICUBIC, design.baseline, *names], rows)


def metrics_table(results: Results, setting: str, test: str) -> Table:
    """One row per kind of weights and metric, one column per arm: mean differences to the baseline,
    marked where both intervals exclude zero."""
    differences = {
        (row.weights, row.metric, row.arm): row
        for row in results.differences
        if (row.setting, row.test) == (setting, test)
    }
    arms = list(dict.fromkeys(arm for _, _, arm in differences))
    keys = dict.fromkeys((weights, metric) for weights, metric, _ in differences)
    rows = [
        [
            f"{metric} ({weights})",
            *(_marked(differences.get((weights, metric, arm))) for arm in arms),
        ]
        for weights, metric in keys
    ]
    return Table(["metric (weights)", *arms], rows)


def _marked(row: Difference | None) -> str:
    if row is None:
        return ""
    mark = f" ({row.verdict})" if row.verdict in ("better", "worse") else ""
    return difference_text(row.metric, row.mean, PAIRED_DECIMALS) + mark


def diagnostics_table(results: Results, setting: str) -> Table:
    """One row per diagnostic of training, one column per arm: the last logged value, averaged over
    the seeds."""
    last = {
        history.arm: last_diagnostics(history)
        for history in results.histories
        if history.setting == setting
    }
    names = sorted({name for values in last.values() for name in values})
    rows = [
        [name, *(f"{values[name]:.4g}" if name in values else "" for values in last.values())]
        for name in names
    ]
    return Table(["diagnostic", *last], rows)


def last_diagnostics(history: History) -> dict[str, float]:
    """The last value of each diagnostic that has one."""
    known = {
        name: [value for value in values if value is not None]
        for name, values in history.diagnostics.items()
    }
    return {name: values[-1] for name, values in known.items() if values}


def cost_table(results: Results, setting: str) -> Table:
    """What each arm takes to train, and whether inference costs the same."""
    rows: list[list[str]] = []
    for cost in results.costs:
        if cost.setting != setting:
            continue
        given_up = f" ({cost.given_up} given up)" if cost.given_up else ""
        cpu = cost.cpu_seconds_per_step
        inference = "same" if cost.same_inference else "DIFFERS"
        rows.append(
            [
                cost.arm,
                f"{cost.num_runs}{given_up}",
                str(cost.num_steps),
                "" if cpu is None else f"{cpu:.4f}",
                "" if cost.compute is None else f"{cost.compute:.2f} x",
                f"{cost.peak_memory_mib:,.0f}",
                f"{inference}, {cost.parameters:,}",
            ]
        )
    header = ["arm", "runs", "steps", "CPU s/step", "compute", "peak MiB", "inference, parameters"]
    return Table(header, rows)


def trouble_text(results: Results, setting: str) -> str:
    """Skipped steps and alarms, by arm."""
    costs = [cost for cost in results.costs if cost.setting == setting]
    parts: list[str] = []
    for title, counts in (
        ("Skipped steps", {cost.arm: cost.skipped for cost in costs}),
        ("Alarms", {cost.arm: cost.alarms for cost in costs}),
    ):
        some = ", ".join(f"{arm} {count}" for arm, count in counts.items() if count)
        parts.append(f"{title}: {some or 'none'}.")
    return " ".join(parts)


def grouped_by_verdict(rows: Iterable[Difference]) -> dict[str, list[Difference]]:
    """Differences of paired arms by their verdict. A/A and unpaired arms are left out."""
    groups: dict[str, list[Difference]] = {}
    for row in rows:
        if row.kind == "treatment":
            groups.setdefault(row.verdict, []).append(row)
    return groups
