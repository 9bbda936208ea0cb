"""The page of a comparison, in Markdown: primary figure first, then tables, costs, what is not
known, and how to make each row again."""

from __future__ import annotations

from collections.abc import Mapping

from ibsd.comparison.results import Results
from ibsd.comparison.run import AVERAGED
from ibsd.comparison.statistics import CONFIDENCE, MIN_SEEDS, NUM_RESAMPLES
from ibsd.reporting.account_section import account_section
from ibsd.reporting.comparison_rows import (
    cost_table,
    difference_table,
    grouped_by_verdict,
    health_table,
    markdown,
    other_metrics_table,
    row_table,
    select,
    signed,
)
from ibsd.reporting.probe_section import probe_section

READING = f"""How to read it. A *difference* is an arm less the baseline on the same images, from the same initial weights and the same
batches, averaged over images and seeds. The *t interval* comes from the spread between seeds ({CONFIDENCE:.0%}, n - 1 degrees of
freedom), the *bootstrap* from drawing seeds and images again {NUM_RESAMPLES:,} times. *Better* or *worse* stands only where both exclude
zero; below {MIN_SEEDS} seeds there is no interval. The *noise floor* is how far the mean of as many A/A runs, baseline against baseline
with another order of the data, strays from zero by chance. Only the primary figure is a claim: among many other cells some exclude zero
by luck.
"""

HEALTH = """Last logged figures, averaged over the seeds: bound and likelihood loss per link (nats per element), scale of the features,
each term's gradient as a share of L1's and the cosine between the two, and the share of wavelet coefficients whose gradient the soft
target turns round."""

PLANE = """The path of each link over training, one dot at its end, averaged over the seeds: up is more bound, to the right is a better
guess, both under the run's own estimators, in nats per element. A path that falls without going left forgot; one that falls to the left lost
both, as lagging estimators and hiding students do."""

HEADLINE_SEEDS = 5
COST = "Processor time of training; compute is that of the whole schedule over the baseline's."


def page(results: Results, plots: Mapping[str, str], remarks: str = "") -> str:
    """Markdown; `plots` are the addresses of the SVG files that there are (`differences`, `plane`,
    `course`, `matrix-1`, ...), `remarks` text to take in."""
    design = results.design
    parts = [
        f"# {design.title}\n",
        f"<!-- Generated from {len(results.runs)} runs by `{design.command} --table`; do not edit. -->\n",
        f"## Primary figure\n\n{primary_figure(results)}\n",
        f"![Differences to {design.baseline}, with intervals]({plots['differences']})\n",
        READING,
        *([remarks.strip() + "\n"] if remarks.strip() else []),
    ]
    for name, setting in design.settings.items():
        parts.append(f"## {setting.title}\n" + (f"\n{setting.note}\n" if setting.note else ""))
        for test, role in setting.whole_tests().items():
            table = difference_table(results, name, test, AVERAGED, design.primary)
            if table[1]:
                parts.append(f"### `{name}`, scored on `{test}` ({role})\n\n{markdown(table)}")
            if (rows := row_table(results, name, test, AVERAGED, design.primary))[1]:
                parts.append(f"Each degradation of `{test}` by itself:\n\n{markdown(rows)}")
    if matrices := [
        f"![Degradation matrix {k}]({address})\n"
        for k, address in plots.items()
        if k.startswith("matrix")
    ]:
        parts.append("## Degradation matrix\n\n" + "\n".join(matrices))
    arms = [[name, arm.role, arm.options] for name, arm in design.arms.items()]
    parts.append(f"## Arms\n\n{markdown((['arm', 'role', 'options'], arms))}")
    parts.append(f"## Cost\n\n{COST}\n\n{markdown(cost_table(results))}")
    if results.probes:
        parts.append(f"## Camera probe\n\n{probe_section(results)}")
    if results.decompositions:
        parts.append(f"## What estimators see\n\n{account_section(results)}")
    if "plane" in plots:
        parts.append(
            f"## Information plane\n\n{PLANE}\n\n![Bound against log-likelihood over training, per link]({plots['plane']})\n"
        )
    parts.append(f"## Health of training\n\n{HEALTH}\n\n{health(results)}")
    if "course" in plots:
        parts.append(
            f"![Feature scale, gradient shares and cosines over training]({plots['course']})\n"
        )
    parts.append(f"## What is not known\n\n{not_known(results)}")
    parts.append(
        f"## Every metric, averaged and raw weights\n\nMean differences to {design.baseline}.\n\n{every_metric(results)}"
    )
    parts.append(f"## How to make it again\n\n{how_to_reproduce(results)}")
    return "\n".join(parts)


def primary_figure(results: Results) -> str:
    """One paragraph per unseen test set: which arms differ from the baseline, and by how much."""
    design = results.design
    figure = f"`{design.primary}` of the averaged weights at the last step"
    both = any(
        role == "seen" for setting in design.settings.values() for role in setting.tests.values()
    )
    which = "of a kind that was" if both else "that were"
    lines = [f"Named before any test was opened: {figure}, on pictures {which} not trained on.\n"]
    for name, setting in design.settings.items():
        for test in (test for test, role in setting.whole_tests().items() if role == "unseen"):
            groups = grouped_by_verdict(select(results, name, test, AVERAGED, design.primary))
            if not groups:
                continue
            said = [
                f"**{verdict}**: {', '.join(f'{each.arm} ({signed(each.mean, each.metric)})' for each in groups[verdict])}"
                for verdict in ("better", "worse", "no difference shown", "no interval")
                if verdict in groups
            ]
            some = next(iter(groups.values()))[0]
            seeds = sorted({each.num_seeds for group in groups.values() for each in group})
            facts = f"{some.num_images} images, {' or '.join(map(str, seeds))} seeds"
            floor = f", noise floor {some.noise_floor:.3f}" if some.noise_floor is not None else ""
            lines.append(
                f"- {setting.title} (`{name}`, scored on `{test}`; {facts}{floor}), against {design.baseline}: {'; '.join(said)}."
            )
    return "\n".join(lines) + "\n"


def health(results: Results) -> str:
    parts = []
    for name in results.design.settings:
        table = health_table(results, name)
        if table[1]:
            parts.append(f"`{name}`:\n\n{markdown(table)}")
    return "\n".join(parts)


def every_metric(results: Results) -> str:
    parts = []
    for name, setting in results.design.settings.items():
        for test in setting.whole_tests():
            table = other_metrics_table(results, name, test)
            if table[1]:
                parts.append(f"`{name}`, scored on `{test}`:\n\n{markdown(table)}")
    return "\n".join(parts)


def not_known(results: Results) -> str:
    """What the figures leave open, as far as it can be seen from the runs themselves."""
    lines = []
    fewest = min(
        (
            each.num_seeds
            for each in results.differences
            if each.primary and each.kind == "treatment"
        ),
        default=0,
    )
    if 0 < fewest < HEADLINE_SEEDS:
        lines.append(
            f"Whether {fewest} seeds are typical: intervals over so few are wide, and a headline wants {HEADLINE_SEEDS}."
        )
    if results.missing:
        more = " and more" if len(results.missing) > 12 else ""
        lines.append(
            f"{len(results.missing)} runs are not made yet: {', '.join(results.missing[:12])}{more}."
        )
    lines += [f"Refused: {sentence}." for sentence in results.refused]
    if results.mixed_numerics:
        lines.append(
            f"Runs were made with more than one version of {', '.join(results.mixed_numerics)}."
        )
    if len(results.machines) > 1:
        lines.append(
            "Runs come from more than one kind of machine: the pairs are the same, the last digits are not."
        )
    baselines = [cost for cost in results.costs if cost.arm == results.design.baseline]
    if sizes := sorted(
        {f"{cost.parameters:,} parameters and {cost.num_steps:,} steps" for cost in baselines}
    ):
        lines.append(
            f"Whether it holds for other networks and longer training than {', '.join(sizes)}."
        )
    return "".join(f"- {line}\n" for line in lines)


def how_to_reproduce(results: Results) -> str:
    design = results.design
    text = f"`{design.command}` makes every run that is missing and this page; `--table` makes the page alone. One row:\n\n```\n"
    for setting in design.settings:
        baseline = f"--only '{setting}/{design.baseline}/*'"
        arms = [arm for arm in design.arms if arm != design.baseline]
        text += "".join(f"{design.command} {baseline} --only '{setting}/{arm}/*'\n" for arm in arms)
    text += "```\n\nRuns by machine:\n\n" + "".join(
        f"- {count} on {machine}\n" for machine, count in results.machines.items()
    )
    return text
