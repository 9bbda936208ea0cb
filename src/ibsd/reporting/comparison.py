"""The page of a comparison: one list of sections from its results, as Markdown and as HTML.

The primary figure comes first, then tables, costs, what is not known, and how to make each row
again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ibsd.comparison.design import SettingDesign
from ibsd.comparison.results import Difference, Results
from ibsd.comparison.statistics import CONFIDENCE, MIN_SEEDS, NUM_RESAMPLES
from ibsd.reporting import html
from ibsd.reporting.comparison_plots import course_panels, difference_plot, plane_panels
from ibsd.reporting.contrasts import contrast_table
from ibsd.reporting.document import (
    Block,
    Bullets,
    Code,
    Document,
    Plot,
    Section,
    Table,
    Text,
    section_html,
)
from ibsd.reporting.examinations import decomposition_blocks, probe_blocks
from ibsd.reporting.format import PAIRED_DECIMALS, difference_text, score_text
from ibsd.reporting.matrix import (
    Matrix,
    below_bicubic,
    camera_matrix,
    family_matrices,
    matrix_table,
)
from ibsd.reporting.remarks import read_remarks
from ibsd.reporting.tables import (
    cost_table,
    degradation_table,
    design_text,
    diagnostics_table,
    difference_table,
    grouped_by_verdict,
    metrics_table,
    other_figures_table,
    primary_differences,
    trouble_text,
)

READING = f"""How to read it. A *difference* is an arm less the baseline, on the same images,
from the same initial weights and the same batches, averaged over images and seeds. The *t
interval* comes from the spread between seeds ({CONFIDENCE:.0%}, n - 1 degrees of freedom). The
*bootstrap* draws seeds and images again {NUM_RESAMPLES:,} times. *Better* or *worse* stands
only if both intervals exclude zero; the plot fills the dot of such an arm. *Mixed* is a mean over
test sets of which not every one has its sign. Behind *no difference shown* stands the smallest
difference that the design could have shown, half of the wider interval. Below {MIN_SEEDS} seeds
there is no interval. The *noise floor* comes from A/A runs, the baseline against itself with
another order of the data: chance alone moves the mean over as many seeds by so much. Only the
primary figure is a claim. Among many other cells some exclude zero by luck."""

OTHER_FIGURES = """*Worst tenth*: gain over bicubic of the worst tenth of the images. *Below
bicubic*: share of images that lose. Then scores of bicubic and the baseline, and differences of the
others: structure, perception, and PSNR-Y by wavelet band. A gain in the finest bands alone may be
mere smoothing."""

DIAGNOSTICS = """Last logged values, averaged over the seeds: bound and likelihood loss per link
(nats per element), scale of the features, each term's gradient as a share of L1's, the cosine
between the two, and the share of wavelet coefficients whose gradient the soft target turns
round."""

PLANE = """The path of each link over training, averaged over the seeds, with a dot at its end.
Up is more bound, right is a better guess, both by the run's own estimators, in nats per
element. A path that falls without going left forgot. A path that falls to the left lost both;
estimators that lag and students that hide look like this."""

CAMERA_MATRIX = """Gain over bicubic on every test set: images of the camera that was trained on
(seen), and of another one (unseen)."""

CONTRASTS = (
    """One arm less another, beside its difference to the baseline, in the primary figure."""
)

COST = "Processor time of training. *Compute* is that of the whole schedule over the baseline's."

UNDERTRAINED = (
    "**Undertrained**: every arm is below bicubic, so train longer before reading differences. "
)

HEADLINE_SEEDS = 5
MOST_NAMED = 12
"""Missing runs that are named."""
VERDICT_ORDER = ("better", "worse", "mixed", "no difference shown", "no interval")


def comparison_document(results: Results, remarks: str = "") -> Document:
    """The sections. `remarks` is Markdown for what figures alone do not say."""
    design = results.design
    before, further = read_remarks(remarks)
    alt = f"Differences to {design.baseline}, with intervals"
    primary = Section(
        "Primary figure",
        [*primary_blocks(results), Plot("", alt, difference_plot(results)), Text(READING), *before],
    )
    sections = [
        primary,
        *further,
        Section("Contrasts", _contrasts(results)),
        *(_setting(results, name, setting) for name, setting in design.settings.items()),
        Section("Degradation matrix", list(_matrices(results))),
        Section("Arms", [arms_table(results)]),
        Section("Cost", [Text(COST, "about"), *_costs(results)]),
        Section("Camera probe", probe_blocks(results)),
        Section("What estimators see", decomposition_blocks(results)),
        *_training(results),
        Section("What is not known", [Bullets(open_questions(results))]),
        Section("Every metric, averaged and raw weights", _metrics(results)),
        Section("How to make it again", _reproduction(results)),
    ]
    made = f"Generated from {len(results.runs)} runs by `{design.command} --table`; do not edit."
    return Document(design.title, made, sections)


def comparison_html(
    results: Results,
    remarks: str = "",
    scenes: str = "",
    matrices: Sequence[Matrix] = (),
    scores: Sequence[str] = (),
) -> str:
    """The page of one file.

    Args:
        remarks: as for `comparison_document`.
        scenes: HTML of the pictures before and after.
        matrices: further matrices, shown after that of the cameras.
        scores: HTML of further tables.
    """
    design = results.design
    primary, *others = comparison_document(results, remarks).sections
    tables = [matrix_table(matrix) for matrix in (camera_matrix(results), *matrices) if matrix.rows]
    parts = [
        html.definitions(summary_items(results)),
        section_html(primary),
        scenes,
        html.section("Matrix", *tables, about=CAMERA_MATRIX),
        html.section("Scores", *scores),
        *map(section_html, others),
    ]
    titles = [setting.title for setting in design.settings.values() if not setting.mean_of]
    lead = f"{'; '.join(titles)}."
    return html.page(design.title, "ibsd compare", lead, parts, f"Made by: {design.command}")


def summary_items(results: Results) -> list[tuple[str, str]]:
    """Names with values: the size of the comparison."""
    design = results.design
    of_all = f" of {len(design.names)}" if results.missing else ""
    return [
        ("runs", f"{len(results.runs)}{of_all}"),
        ("arms", f"{len(design.arms)}, compared with {design.baseline}"),
        ("seeds", ", ".join(map(str, design.seeds))),
        ("primary figure", design.primary),
        ("skipped steps", str(sum(cost.skipped for cost in results.costs))),
        ("alarms", str(sum(cost.alarms for cost in results.costs))),
    ]


def primary_blocks(results: Results) -> list[Block]:
    """What the primary figure is, and for each unseen test set which arms differ."""
    design = results.design
    roles = [role for setting in design.settings.values() for role in setting.tests.values()]
    images = "images of a kind that was not" if "seen" in roles else "images that were not"
    figure = f"`{design.primary}` of the averaged weights at the last step, on {images} trained on"
    items = [
        item
        for name, setting in design.settings.items()
        for test in setting.whole_tests()
        if design.is_claim(name, test) and (item := _verdicts(results, name, setting, test))
    ]
    named = " It was named before any test was opened." if design.named_before_tests else ""
    return [Text(f"The primary figure is {figure}.{named}"), Bullets(items)]


def _verdicts(results: Results, name: str, setting: SettingDesign, test: str) -> str:
    """One sentence on a test set; "" if nothing was compared."""
    rows = primary_differences(results, name, test)
    groups = grouped_by_verdict(rows)
    if not groups:
        return ""
    verdicts = "; ".join(
        f"**{verdict}**: {', '.join(map(_arm_text, groups[verdict]))}"
        for verdict in VERDICT_ORDER
        if verdict in groups
    )
    size = design_text([row for row in rows if row.kind == "treatment"])
    against = f"against {results.design.baseline}"
    warning = UNDERTRAINED if below_bicubic(results, name, test) else ""
    return (
        f"{warning}{setting.title} (`{name}`, scored on `{test}`; {size}), {against}: {verdicts}."
    )


def _arm_text(row: Difference) -> str:
    """The arm with its difference. Where none is shown, with the smallest that could be."""
    mean = difference_text(row.metric, row.mean, PAIRED_DECIMALS)
    if row.verdict != "no difference shown" or row.smallest_detectable is None:
        return f"{row.arm} ({mean})"
    smallest = score_text(row.metric, row.smallest_detectable, PAIRED_DECIMALS)
    return f"{row.arm} ({mean}, detectable from {smallest})"


def _contrasts(results: Results) -> list[Block]:
    table = contrast_table(results)
    return [Text(CONTRASTS, "about"), table] if table.rows else []


def _setting(results: Results, name: str, setting: SettingDesign) -> Section:
    """A table per test set, and below it one of its degradations."""
    blocks: list[Block] = [Text(setting.note)] if setting.note else []
    for test, role in setting.whole_tests().items():
        rows = primary_differences(results, name, test)
        table = difference_table(results, name, test)
        inside: list[Block] = [table] if table.rows else []
        if rows:
            inside.insert(0, Text(f"{design_text(rows)}."))
        if others := other_figures_table(results, name, test).narrow():
            inside += [Text(OTHER_FIGURES), *others]
        if degradations := degradation_table(results, name, test).narrow(fixed=3):
            inside += [Text(f"Each degradation of `{test}` by itself:"), *degradations]
        if inside:
            blocks.append(Section(f"`{name}`, scored on `{test}` ({role})", inside))
    return Section(setting.title or name, blocks)


def _matrices(results: Results) -> Iterator[Plot]:
    for number, matrix in enumerate(family_matrices(results), start=1):
        yield Plot(f"-matrix-{number}", matrix.title, matrix)


def arms_table(results: Results) -> Table:
    rows = [[name, arm.role, arm.options] for name, arm in results.design.arms.items()]
    return Table(["arm", "role", "options"], rows)


def _costs(results: Results) -> Iterator[Block]:
    for name in results.design.settings:
        table = cost_table(results, name)
        if table.rows:
            yield Text(f"`{name}`. {trouble_text(results, name)}")
            yield table


def _training(results: Results) -> Iterator[Section]:
    """The information plane, and the diagnostics."""
    if planes := plane_panels(results):
        alt = "Bound against log-likelihood over training, per link"
        yield Section("Information plane", [Text(PLANE, "about"), Plot("-plane", alt, planes)])
    blocks: list[Block] = []
    for name in results.design.settings:
        if tables := diagnostics_table(results, name).narrow():
            blocks += [Text(f"`{name}`:"), *tables]
    if courses := course_panels(results):
        alt = "Feature scale, gradient shares and cosines over training"
        blocks.append(Plot("-course", alt, courses))
    if blocks:
        yield Section("Health of training", [Text(DIAGNOSTICS, "about"), *blocks])


def _metrics(results: Results) -> list[Block]:
    blocks: list[Block] = [Text(f"Mean differences to {results.design.baseline}.")]
    for name, setting in results.design.settings.items():
        for test in setting.whole_tests():
            if tables := metrics_table(results, name, test).narrow():
                blocks += [Text(f"`{name}`, scored on `{test}`:"), *tables]
    return blocks


def open_questions(results: Results) -> list[str]:
    """What the figures leave open, as far as the runs themselves show it."""
    sentences: list[str] = []
    seeds = [
        row.num_seeds for row in results.differences if row.primary and row.kind == "treatment"
    ]
    if seeds and min(seeds) < HEADLINE_SEEDS:
        sentences.append(
            f"Whether {min(seeds)} seeds are typical: intervals over so few are wide, and a "
            f"headline wants {HEADLINE_SEEDS}."
        )
    if results.missing:
        named = ", ".join(results.missing[:MOST_NAMED])
        more = " and more" if len(results.missing) > MOST_NAMED else ""
        sentences.append(f"{len(results.missing)} runs still to make: {named}{more}.")
    sentences += [f"Refused: {sentence}." for sentence in results.refused]
    if results.mixed_numerics:
        names = ", ".join(results.mixed_numerics)
        sentences.append(f"Runs were made with more than one version of {names}.")
    if len(results.machines) > 1:
        sentences.append(
            "Runs come from more than one kind of machine: the pairs are the same, the last digits "
            "are not."
        )
    sizes = {
        f"{cost.parameters:,} parameters and {cost.num_steps:,} steps"
        for cost in results.costs
        if cost.arm == results.design.baseline
    }
    if sizes:
        scope = ", ".join(sorted(sizes))
        sentences.append(f"Whether it holds for other networks and longer training than {scope}.")
    return sentences


def _reproduction(results: Results) -> list[Block]:
    """The command of every row, and the machines."""
    design = results.design
    commands = [
        f"{design.command} --only '{setting}/{design.baseline}/*' --only '{setting}/{arm}/*'"
        for setting, content in design.settings.items()
        for arm in design.arms
        if arm != design.baseline and not content.mean_of
    ]
    return [
        Text(
            f"`{design.command}` makes every run that is missing and this page; `--table` makes "
            "the page alone. One row:"
        ),
        Code("\n".join(commands)),
        Text("Runs by machine:"),
        Bullets([f"{count} on {machine}" for machine, count in results.machines.items()]),
    ]
