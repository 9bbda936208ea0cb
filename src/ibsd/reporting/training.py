"""The page of training runs, one or several beside each other: settings, curves, alarms, pictures,
cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from PIL import Image

from ibsd.images.rgb import read_rgb
from ibsd.reporting import html
from ibsd.reporting.html import Pixels
from ibsd.reporting.plots import Look, Panel, Series, chart, information_plane, look
from ibsd.reporting.stored_run import SEEN_PSNR, VAL_PSNR, LogRows, StoredRun

WIDEST_PX = 1800
CURVE_NAMES = {VAL_PSNR: "val", SEEN_PSNR: "training pictures"}
NOT_DRAWN = ("step", "alarms")

PLANE_OF_A_RUN = (
    "The path of each link over training, with a dot at its end. Up is more bound, right is a "
    "better guess by the run's own estimators. A path that falls without going left forgot. A path "
    "that falls to the left lost both; estimators that lag and students that hide look like this."
)
ONE_SEED = (
    "One seed each: no conclusion. Small differences change with the seed; ibsd compare measures "
    "by how much."
)


@dataclass(frozen=True)
class Subject:
    """What one chart shows: some names of the log, or all that begin with a prefix."""

    title: str
    names: tuple[str, ...] = ()
    prefix: str = ""
    unit: str = ""
    caption: str = ""


SUBJECTS = (
    Subject(
        "PSNR-Y",
        (VAL_PSNR, SEEN_PSNR),
        unit="dB",
        caption="Nearness to the originals. A network that gains on training pictures and not on "
        "val learns them by heart.",
    ),
    Subject("SSIM-Y on val", ("val/ssim_y",), caption="Likeness of structures, at most 1."),
    Subject(
        "L1",
        ("term/l1",),
        caption="Mean absolute difference to the original, on training patches.",
    ),
    Subject(
        "Wavelet loss",
        ("term/wavelet",),
        caption="Difference to the soft target in fine detail, on training patches.",
    ),
    Subject(
        "Bound",
        ("term/bound",),
        unit="nats per element",
        caption="How much the next feature map still tells of each one. IBSD presses it down.",
    ),
    Subject(
        "Likelihood loss",
        ("term/nll",),
        unit="nats per element",
        caption="How well the estimators predict the feature maps; lower is better.",
    ),
    Subject(
        "Bound per link",
        prefix="bound/",
        unit="nats per element",
        caption="Far below 0 the estimators lag behind. If it explodes they overfit.",
    ),
    Subject(
        "Likelihood loss per link",
        prefix="nll/",
        unit="nats per element",
        caption="If it rises while the bound falls, the student hides instead of forgetting.",
    ),
    Subject(
        "Feature scale",
        prefix="scale/",
        caption="Standard deviation of each node. Features that shrink lower the bound without "
        "forgetting anything.",
    ),
    Subject(
        "Gradient, as a share of L1's",
        prefix="gradient_share/",
        caption="How strongly each term pulls.",
    ),
    Subject(
        "Gradient, angle to L1's",
        prefix="gradient_cosine/",
        unit="cosine",
        caption="Below 0 a term pulls against L1.",
    ),
    Subject(
        "Soft target",
        prefix="soft_target/",
        caption="The share of the student's past in it, and of coefficients whose gradient it "
        "reverses.",
    ),
    Subject("Learning rate", ("learning_rate",)),
)
"""The charts in the order of the page."""


def _other_steps(runs: Sequence[StoredRun]) -> str:
    """A warning where the runs were not trained equally long."""
    if len({run.step for run in runs}) < 2:
        return ""
    steps = ", ".join(f"{run.name} {run.step:,}" for run in runs)
    text = f"The runs differ in steps ({steps}): more training alone moves scores and curves."
    return html.paragraph(text, "alarm")


def training_page(runs: Sequence[StoredRun], scenes: str = "", scores: Sequence[str] = ()) -> str:
    """The page as text.

    Args:
        runs: one or several; several have distinct names.
        scenes: HTML of the pictures before and after.
        scores: HTML of tables and matrices of scores.
    """
    many = len(runs) > 1
    versions = runs[-1].record.get("versions", {})
    students = (run.config["student"] for run in runs)
    networks = dict.fromkeys(f"{student['name']} x{student['scale']}" for student in students)
    objectives = dict.fromkeys(run.config["objective"]["name"] for run in runs)
    progress = dict.fromkeys(run.progress for run in runs)
    lead = (
        f"{' and '.join(networks)}, trained with {', '.join(objectives)}: {' and '.join(progress)}."
    )
    costs = _beside([dict([*training_cost(run), *run.inference_cost]) for run in runs], runs)
    sections = [
        _beside([dict(run_summary(run)) for run in runs], runs),
        html.paragraph(ONE_SEED, "note") if many else "",
        _other_steps(runs),
        scenes,
        html.section("Scores", *scores),
        html.section("Messages of the runs" if many else "Messages of the run", *_messages(runs)),
        html.section("Curves", html.figure_grid(charts(runs))),
        html.section("Information plane", html.figure_grid(planes(runs)), about=PLANE_OF_A_RUN),
        html.section("Validation pictures", *_sheets(runs)),
        html.section("Cost", costs, about="Upscaling costs the same whatever the objective."),
        html.section("Settings", _settings(runs), about="A resumed run shows the latest ones."),
    ]
    return html.page(
        " and ".join(run.name for run in runs),
        "ibsd training runs" if many else "ibsd training run",
        lead,
        sections,
        ", ".join(f"{name} {version}" for name, version in versions.items()),
    )


def _messages(runs: Sequence[StoredRun]) -> Iterator[str]:
    for run in runs:
        for sentence in run.sentences:
            yield html.paragraph(f"{run.name}: {sentence}" if len(runs) > 1 else sentence, "alarm")


def _sheets(runs: Sequence[StoredRun]) -> Iterator[str]:
    """The latest validation pictures of each run."""
    for run in runs:
        if run.pictures:
            path = run.pictures[-1]
            step = f"{int(path.stem.removeprefix('step-')):,}"
            sheet = html.figure(narrowed(read_rgb(path)), f"Step {step}: LR, result and original.")
            yield html.folded(f"{run.name} at {run.progress}", sheet)


def run_summary(run: StoredRun) -> list[tuple[str, str]]:
    """Names with values: the run and its outcome."""
    student = run.config["student"]
    result = run.result
    scores = [(row["step"], row[VAL_PSNR]) for row in run.rows if row.get(VAL_PSNR) is not None]
    items = [
        ("network", f"{student['name']} x{student['scale']}"),
        ("objective", run.config["objective"]["name"]),
        ("steps", run.progress),
    ]
    if result:
        items.append(("how it ended", result["reason"]))
    if scores:
        best_step, best = max(scores, key=lambda score: score[1])
        items.append(("best on val", f"{best:.2f} dB at step {best_step:,}"))
        items.append(("last on val", f"{scores[-1][1]:.2f} dB"))
    if result.get("skipped"):
        items.append(("skipped steps", f"{result['skipped']:,}"))
    return items


def training_cost(run: StoredRun) -> list[tuple[str, str]]:
    """Time, threads and processes of the training, where the run recorded them."""
    items: list[tuple[str, str]] = []
    if seconds := run.result.get("seconds"):
        items.append(("training, last session", f"{seconds / 60:.1f} min"))
    if threads := run.config.get("run", {}).get("threads"):
        items.append(("threads", str(threads)))
    if (processes := run.record.get("processes", 1)) > 1:
        items.append(("processes", str(processes)))
    return items


def _beside(columns: Sequence[Mapping[str, str]], runs: Sequence[StoredRun]) -> str:
    """One run: names with values. Several: a line per name, a column per run."""
    if len(runs) == 1:
        return html.definitions(columns[0].items())
    names = dict.fromkeys(name for column in columns for name in column)
    return html.table(
        ["", *(run.name for run in runs)],
        [[name, *(column.get(name, "") for column in columns)] for name in names],
    )


def _settings(runs: Sequence[StoredRun]) -> str:
    """All settings, folded away. Of several runs first those that differ."""
    tables = [dict(setting_items(run.config)) for run in runs]
    if len(runs) == 1:
        return html.folded("Every setting of the run", html.definitions(tables[0].items()))
    names = list(dict.fromkeys(name for table in tables for name in table))
    differ = [name for name in names if len({table.get(name) for table in tables}) > 1]
    rows = [[name, *(table.get(name, "") for table in tables)] for name in differ]
    shared = ((name, tables[0][name]) for name in names if name not in differ)
    header = ["setting", *(run.name for run in runs)]
    different = html.table(header, rows, title="Settings in which they differ", words=True)
    return different + html.folded("Settings that they share", html.definitions(shared))


def setting_items(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """("training.num_steps", "1000"), ...; empty settings are left out."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from setting_items(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        elif value not in ("", None):
            yield f"{prefix}{key}", str(value)


def charts(runs: Sequence[StoredRun]) -> list[str]:
    """A chart for every kind of value in the logs, the known ones first. Runs share a chart, each
    in its own colour. A subject that has parts has one chart per run."""
    rest = {
        run.name: dict.fromkeys(name for row in run.rows for name in row if name not in NOT_DRAWN)
        for run in runs
    }
    drawn: list[str] = []
    for subject in SUBJECTS:
        if subject.prefix:
            drawn += [_parts_chart(subject, run, rest[run.name], len(runs) > 1) for run in runs]
        else:
            drawn.append(_shared_chart(subject, runs, rest))
    others = dict.fromkeys(name for names in rest.values() for name in names)
    for name in others:
        curves = [
            curve(run.rows, name, run.name, look(index))
            for index, run in enumerate(runs)
            if name in rest[run.name]
        ]
        drawn.append(chart(Panel(name, curves, "steps", "")))
    return drawn


def _shared_chart(
    subject: Subject, runs: Sequence[StoredRun], rest: Mapping[str, dict[str, None]]
) -> str:
    """One chart of all runs. Its names are taken out of `rest`."""
    names = [name for name in subject.names if any(name in own for own in rest.values())]
    curves: list[Series] = []
    for run_index, run in enumerate(runs):
        for name_index, name in enumerate(names):
            label = [run.name] if len(runs) > 1 else []
            label += [CURVE_NAMES.get(name, name)] if len(names) > 1 else []
            by_run = Look(look(run_index).colour, name_index) if len(runs) > 1 else look(name_index)
            curves.append(curve(run.rows, name, ", ".join(label) or subject.title, by_run))
            rest[run.name].pop(name, None)
    return chart(Panel(subject.title, curves, "steps", subject.unit), subject.caption)


def _parts_chart(subject: Subject, run: StoredRun, rest: dict[str, None], many_runs: bool) -> str:
    """One chart of one run. Its names are taken out of `rest`."""
    names = [name for name in rest if name.startswith(subject.prefix)]
    for name in names:
        rest.pop(name)
    title = f"{subject.title} ({run.name})" if many_runs else subject.title
    curves = [curve(run.rows, name, name.removeprefix(subject.prefix)) for name in names]
    return chart(Panel(title, curves, "steps", subject.unit), subject.caption)


def planes(runs: Sequence[StoredRun]) -> list[str]:
    """An information plane for every run whose log has bounds and likelihoods."""
    drawn: list[str] = []
    for run in runs:
        title = "Bound against log-likelihood" + (f" ({run.name})" if len(runs) > 1 else "")
        paths = information_plane(run.rows)
        drawn.append(chart(Panel(title, paths, "log-likelihood", "nats per element")))
    return drawn


def curve(rows: LogRows, name: str, label: str = "", own: Look | None = None) -> Series:
    """One value of the log over the steps; lines without it are left out."""
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return Series(label or name, points, own)


def narrowed(image: Pixels) -> Pixels:
    """At most `WIDEST_PX` wide."""
    height, width = image.shape[:2]
    if width <= WIDEST_PX:
        return image
    size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
