"""Tables of a comparison as header and cells of text, for pages and terminals alike."""

from __future__ import annotations

from collections.abc import Iterable

from ibsd.comparison.results import Difference, History, Results
from ibsd.evaluation.scores import BICUBIC

Table = tuple[list[str], list[list[str]]]


def decimals(metric: str) -> int:
    """PSNR is in dB, everything else in [0, 1]."""
    return 3 if ".psnr" in metric else 4


def signed(value: float, metric: str) -> str:
    return f"{value:+.{decimals(metric)}f}"


def interval(bounds: tuple[float, float] | None, metric: str) -> str:
    return (
        f"{signed(bounds[0], metric)} to {signed(bounds[1], metric)}" if bounds else "no interval"
    )


def difference_table(results: Results, setting: str, test: str, weights: str, metric: str) -> Table:
    """One line per arm: level, difference to the baseline with both intervals, noise floor, images
    won and lost, and what it amounts to."""
    design = results.design
    header = [
        "arm",
        metric,
        "difference",
        "t interval",
        "bootstrap",
        "noise floor",
        "won : lost",
        "seeds",
        "reading",
    ]
    here = [
        level
        for level in results.mean_scores
        if (level.setting, level.test, level.metric) == (setting, test, metric)
    ]
    levels = {level.arm: level for level in here if level.weights == weights}
    bicubic = [level for level in here if level.weights == BICUBIC]
    found = {each.arm: each for each in select(results, setting, test, weights, metric)}
    lines = [["bicubic", f"{level.mean:.{decimals(metric)}f}", *[""] * 7] for level in bicubic]
    for arm in design.arms:
        if arm not in levels:
            continue
        level = f"{levels[arm].mean:.{decimals(metric)}f}"
        if arm == design.baseline:
            lines.append([f"{arm} (baseline)", level, *[""] * 5, str(levels[arm].num_seeds), ""])
        elif arm not in found:
            lines.append([arm, level, *[""] * 5, str(levels[arm].num_seeds), "not compared"])
        else:
            lines.append([arm, level, *_difference_cells(found[arm], metric)])
    return header, lines


def row_table(results: Results, setting: str, whole: str, weights: str, metric: str) -> Table:
    """The degradation matrix behind a test set, one line per degradation: levels of bicubic and the
    baseline, and every arm's mean difference to the baseline, marked where both intervals exclude
    zero."""
    baseline, parts = results.design.baseline, results.design.settings[setting].parts
    levels = {(each.test, each.arm): each.mean for each in results.mean_scores if (each.setting, each.metric) == (setting, metric)
              and each.weights in (weights, BICUBIC)}  # fmt: skip
    rows = [part for part, mean in parts.items() if mean == whole and (part, baseline) in levels]
    found = {
        (part, each.arm): each
        for part in rows
        for each in select(results, setting, part, weights, metric)
    }
    arms = list(dict.fromkeys(arm for _, arm in found))
    lines = [
        [
            part.removeprefix(f"{whole}/"),
            *(f"{levels[part, arm]:.{decimals(metric)}f}" for arm in (BICUBIC, baseline)),
            *(_marked(found.get((part, arm))) for arm in arms),
        ]
        for part in rows
    ]
    return ["degradation", BICUBIC, baseline, *(f"{arm} less {baseline}" for arm in arms)], lines


def _difference_cells(each: Difference, metric: str) -> list[str]:
    floor = "" if each.noise_floor is None else f"{each.noise_floor:.{decimals(metric)}f}"
    won = f"{each.wins} : {each.losses} of {each.num_images}"
    return [
        signed(each.mean, metric),
        interval(each.t_interval, metric),
        interval(each.bootstrap_interval, metric),
        floor,
        won,
        str(each.num_seeds),
        reading(each),
    ]


def reading(each: Difference) -> str:
    """The verdict, and what to hold against it."""
    if each.kind == "a/a":
        return "A/A"
    marks = [] if each.kind == "treatment" else ["unpaired"]
    if (
        each.noise_floor is not None
        and abs(each.mean) <= each.noise_floor
        and each.verdict in ("better", "worse")
    ):
        marks.append("within the noise floor")
    return ", ".join([each.verdict, *marks])


def select(
    results: Results, setting: str, test: str, weights: str, metric: str
) -> list[Difference]:
    return [
        each
        for each in results.differences
        if (each.setting, each.test, each.weights, each.metric) == (setting, test, weights, metric)
    ]


def other_metrics_table(results: Results, setting: str, test: str) -> Table:
    """One line per kind of weights and metric, one column per arm: mean differences, marked where
    both intervals exclude zero."""
    found = {
        (each.weights, each.metric, each.arm): each
        for each in results.differences
        if (each.setting, each.test) == (setting, test)
    }
    arms = list(dict.fromkeys(arm for _, _, arm in found))
    lines = [
        [weights, metric, *(_marked(found.get((weights, metric, arm))) for arm in arms)]
        for weights, metric in dict.fromkeys((weights, metric) for weights, metric, _ in found)
    ]
    return ["weights", "metric", *arms], lines


def health_table(results: Results, setting: str) -> Table:
    """One line per figure of the training's health, one column per arm: the last logged value,
    averaged over the seeds."""
    found = {each.arm: last_figures(each) for each in results.histories if each.setting == setting}
    names = sorted({name for figures in found.values() for name in figures})
    return ["figure", *found], [
        [name, *(_four_digits(figures.get(name)) for figures in found.values())] for name in names
    ]


def last_figures(course: History) -> dict[str, float]:
    """The last of each figure that there is one of."""
    there = {
        name: [value for value in values if value is not None]
        for name, values in course.diagnostics.items()
    }
    return {name: values[-1] for name, values in there.items() if values}


def _four_digits(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _marked(each: Difference | None) -> str:
    if each is None:
        return ""
    mark = {"better": " (better)", "worse": " (worse)"}.get(each.verdict, "")
    return signed(each.mean, each.metric) + mark


def cost_table(results: Results) -> Table:
    """What each arm takes to train, and that inference costs the same."""
    header = [
        "setting",
        "arm",
        "runs",
        "steps",
        "CPU s/step",
        "compute",
        "peak MiB",
        "parameters",
        "inference",
        "skipped",
        "alarms",
    ]
    lines = []
    for cost in results.costs:
        runs = f"{cost.num_runs}" + (f" ({cost.given_up} given up)" if cost.given_up else "")
        seconds = "" if cost.cpu_seconds_per_step is None else f"{cost.cpu_seconds_per_step:.4f}"
        compute = "" if cost.compute is None else f"{cost.compute:.2f} x"
        same = "same" if cost.same_inference else "DIFFERS"
        memory, parameters = f"{cost.peak_memory_mib:,.0f}", f"{cost.parameters:,}"
        lines.append(
            [
                cost.setting,
                cost.arm,
                runs,
                str(cost.num_steps),
                seconds,
                compute,
                memory,
                parameters,
                same,
                str(cost.skipped),
                str(cost.alarms),
            ]
        )
    return header, lines


def markdown(table: Table) -> str:
    header, lines = table
    cells = [header, ["---"] * len(header), *lines]
    return (
        "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in cells
        )
        + "\n"
    )


def grouped_by_verdict(differences: Iterable[Difference]) -> dict[str, list[Difference]]:
    """Differences of paired arms by what they amount to; A/A and unpaired arms are left out."""
    groups: dict[str, list[Difference]] = {}
    for each in differences:
        if each.kind == "treatment":
            groups.setdefault(each.verdict, []).append(each)
    return groups
