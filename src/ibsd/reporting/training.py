"""The page of training runs, one or several beside each other, made from what their folders hold:
settings, curves, alarms, pictures, cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ibsd.images.rgb import read_rgb
from ibsd.reporting import html
from ibsd.reporting.curves import Series, chart
from ibsd.reporting.information_plane import information_plane
from ibsd.training.tracking import read_json_lines
from ibsd.types import InputError

Rows = Sequence[Mapping[str, Any]]
"""Lines of a run's log: {"step": ..., figures}."""

WIDEST_PX = 1800
UNSEEN, SEEN = "val/psnr_y", "val/seen_psnr_y"
LABELS = {UNSEEN: "val", SEEN: "training pictures"}

CHARTS = (
    ((UNSEEN, SEEN), "PSNR-Y", "dB", "Nearness to the originals. If it rises on training pictures and not on val, they are learned by heart."),
    (("val/ssim_y",), "SSIM-Y on val", "", "Likeness of structures, at most 1."),
    (("term/l1",), "L1", "", "Mean absolute difference to the original, on training patches."),
    (("term/wavelet",), "Wavelet loss", "", "Difference to the soft target in fine detail, on training patches."),
    (("term/bound",), "Bound", "nats per element", "How much of each feature map the next one still tells; what IBSD presses down."),
    (("term/nll",), "Likelihood loss", "nats per element", "How well the estimators predict the feature maps; lower is better."),
    ("bound/", "Bound per link", "nats per element", "Far below 0: the estimators lag behind. Exploding: they overfit."),
    ("nll/", "Likelihood loss per link", "nats per element", "A rise while the bound falls: the student hides instead of forgetting."),
    ("scale/", "Feature scale", "", "Standard deviation of each node. Shrinking features lower the bound without forgetting anything."),
    ("gradient_share/", "Gradient, as a share of L1's", "", "How strongly each term pulls."),
    ("gradient_cosine/", "Gradient, angle to L1's", "cosine", "Below 0 a term pulls against L1."),
    ("soft_target/", "Soft target", "", "The share of the student's past in it, and of coefficients whose gradient changes sign by it."),
    (("learning_rate",), "Learning rate", "", ""),
)  # fmt: skip
"""(names of figures that share a chart, or the beginning of several names, ending in a slash;
title; unit; caption), in the order of the page."""

SILENT = ("alarms",)

PLANE = (
    "The path of each link over training, a dot at its end: up is more bound, to the right a better guess by the run's own estimators. A path that "
    "falls without going left forgot; one that falls to the left lost both, as lagging estimators and hiding students do."
)


@dataclass(frozen=True)
class RunStory:
    """One run, finished or not, as its folder tells it."""

    name: str
    facts: Mapping[str, Any]
    """`run.json`"""
    rows: Rows
    sentences: Sequence[str]
    """What was said during training, each once."""
    pictures: Sequence[Path] = ()
    """Sheets of validation pictures, oldest first."""
    cost: Sequence[tuple[str, str]] = ()
    """What the network takes, for the page's part on cost."""

    @property
    def config(self) -> Mapping[str, Any]:
        return self.facts["config"]

    @property
    def result(self) -> Mapping[str, Any]:
        return self.facts.get("result", {})

    @property
    def step(self) -> int:
        return self.result.get("step", self.rows[-1]["step"] if self.rows else 0)


def read_run(folder: Path) -> RunStory:
    """InputError if the folder holds no run, or a damaged one."""
    path, log, messages = folder / "run.json", folder / "log.jsonl", folder / "messages.log"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        check_facts(facts)
    except FileNotFoundError:
        raise InputError(
            f"{folder}: holds no run.json, so no run; name the folder that ibsd train wrote"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: is damaged; name another run, or make this one again") from None
    try:
        rows = [checked_row(row) for row in read_json_lines(log)] if log.is_file() else []
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"{log}: is damaged; remove it, and the report does without curves"
        ) from None
    sentences = (
        messages.read_text(encoding="utf-8", errors="replace").splitlines()
        if messages.is_file()
        else []
    )
    pictures = sorted((folder / "validation").glob("step-*.png"))
    return RunStory(
        folder.absolute().name,
        facts,
        [row for row in rows if row],
        list(dict.fromkeys(sentences)),
        pictures,
    )


def check_facts(facts: Any) -> None:
    """KeyError, TypeError, AttributeError or ValueError unless all that the page needs is there and
    of its kind."""
    config, result = facts["config"], facts.get("result", {})
    for section in ("student", "objective"):
        if not isinstance(config[section]["name"], str):
            raise TypeError(section)
    counts = [
        config["student"]["scale"],
        config["training"]["num_steps"],
        facts.get("processes", 1),
    ]
    if result:
        counts += [result["step"], result.get("skipped", 0)]
        if not isinstance(result["reason"], str) or not isinstance(
            result.get("seconds", 0.0), int | float
        ):
            raise TypeError("result")
    if not all(type(count) is int for count in counts):
        raise TypeError("counts")
    if not all(
        isinstance(content, dict)
        for content in (*config.values(), facts.get("versions", {}), result)
    ):
        raise TypeError("sections")


def checked_row(row: Any) -> dict[str, Any]:
    """A line of the log with its figures alone; {} for what is no line of a log."""
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return {}
    return {
        name: value for name, value in row.items() if value is None or type(value) in (int, float)
    }


def named_apart(runs: Sequence[RunStory]) -> list[RunStory]:
    """Called by their objectives where these differ, else by their folders, else by numbers too."""
    for names in ([run.config["objective"]["name"] for run in runs], [run.name for run in runs]):
        if len(set(names)) == len(runs):
            return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]
    return [replace(run, name=f"{number} {run.name}") for number, run in enumerate(runs, start=1)]


def runs_page(runs: Sequence[RunStory], scenes: str = "", scores: Sequence[str] = ()) -> str:
    """The page as text.

    Args:
        runs: one or several; `named_apart` if several.
        scenes: HTML of the pictures before and after.
        scores: HTML of tables and matrices of scores.
    """
    many = len(runs) > 1
    summaries = [dict(summary(run)) for run in runs]
    costs = [dict([*cost(run), *run.cost]) for run in runs]
    sections = [
        beside(summaries, runs) if many else html.facts(summaries[0].items()),
        html.paragraph(
            "One seed each: no conclusion. Differences this small come and go with the seed; ibsd compare says how far.",
            "note",
        )
        if many
        else "",
        scenes,
        html.section("Scores", *scores),
        html.section(
            "What the runs said" if many else "What the run said",
            *(
                html.paragraph(f"{run.name}: {sentence}" if many else sentence, "alarm")
                for run in runs
                for sentence in run.sentences
            ),
        ),
        html.section("Curves", html.grid(charts(runs))),
        html.section("Information plane", html.grid(planes(runs)), about=PLANE),
    ]
    sheets = [
        html.details(f"{run.name} at {done(run)}", sheet(run)) for run in runs if run.pictures
    ]
    sections.append(html.section("Validation pictures", *sheets))
    sections += [
        html.section(
            "Cost",
            beside(costs, runs) if many else html.facts(costs[0].items()),
            about="Upscaling costs the same whatever the objective.",
        ),
        html.section("Settings", settings(runs), about="A resumed run shows the latest ones."),
    ]
    versions = ", ".join(
        f"{key} {value}" for key, value in runs[-1].facts.get("versions", {}).items()
    )
    kinds = " and ".join(
        dict.fromkeys(
            f"{run.config['student']['name']} x{run.config['student']['scale']}" for run in runs
        )
    )
    methods = ", ".join(dict.fromkeys(run.config["objective"]["name"] for run in runs))
    lead = f"{kinds}, trained with {methods}: {' and '.join(dict.fromkeys(done(run) for run in runs))}."
    return html.page(
        " and ".join(run.name for run in runs),
        f"ibsd training run{'s' if many else ''}",
        lead,
        sections,
        versions,
    )


def sheet(run: RunStory) -> str:
    step = f"{int(run.pictures[-1].stem.removeprefix('step-')):,}"
    return html.picture(
        shrunk(read_rgb(run.pictures[-1])), f"Step {step}: LR, result and original."
    )


def done(run: RunStory) -> str:
    return f"{run.step:,} of {run.config['training']['num_steps']:,} steps"


def summary(run: RunStory) -> list[tuple[str, str]]:
    """Names with values: what the run is and what came of it."""
    student, result = run.config["student"], run.result
    scores = [(row["step"], row[UNSEEN]) for row in run.rows if row.get(UNSEEN) is not None]
    facts = [
        ("network", f"{student['name']} x{student['scale']}"),
        ("objective", run.config["objective"]["name"]),
        ("steps", done(run)),
    ]
    if result:
        facts.append(("how it ended", result["reason"]))
    if scores:
        best_step, best = max(scores, key=lambda score: score[1])
        facts += [
            ("best on val", f"{best:.2f} dB at step {best_step:,}"),
            ("last on val", f"{scores[-1][1]:.2f} dB"),
        ]
    if result.get("skipped"):
        facts.append(("skipped steps", f"{result['skipped']:,}"))
    return facts


def cost(run: RunStory) -> list[tuple[str, str]]:
    """What the training took, as far as the run knows."""
    seconds = run.result.get("seconds")
    facts = [("training, last session", f"{seconds / 60:.1f} min")] if seconds else []
    if threads := run.config.get("run", {}).get("threads"):
        facts.append(("threads", str(threads)))
    if (processes := run.facts.get("processes", 1)) > 1:
        facts.append(("processes", str(processes)))
    return facts


def beside(columns: Sequence[Mapping[str, str]], runs: Sequence[RunStory]) -> str:
    """A line per name, a column per run."""
    names = dict.fromkeys(name for column in columns for name in column)
    return html.table(
        ["", *(run.name for run in runs)],
        [[name, *(column.get(name, "") for column in columns)] for name in names],
    )


def settings(runs: Sequence[RunStory]) -> str:
    """All settings folded away; of several runs first those that differ."""
    tables = [{key: str(value) for key, value in flat(run.config)} for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    if len(runs) == 1:
        return html.details("Every setting of the run", html.facts(tables[0].items()))
    differ = [name for name in names if len({table.get(name) for table in tables}) > 1]
    rows = [[name, *(table.get(name, "") for table in tables)] for name in differ]
    same = ((name, tables[0][name]) for name in names if name not in differ)
    header = ["setting", *(run.name for run in runs)]
    return html.table(
        header, rows, title="Settings in which they differ", words=True
    ) + html.details("Settings that they share", html.facts(same))


def charts(runs: Sequence[RunStory]) -> list[str]:
    """A chart for every kind of figure in the logs, known ones first: shared by the runs, but for
    figures that have parts."""
    left = {
        run.name: dict.fromkeys(
            name for row in run.rows for name in row if name != "step" and name not in SILENT
        )
        for run in runs
    }
    drawn = []
    for keys, title, unit, caption in CHARTS:
        if isinstance(keys, tuple):
            there = [key for key in keys if any(key in names for names in left.values())]
            series = [
                curve(run.rows, key, label(run, key, len(runs) > 1, len(there) > 1) or title)
                for run in runs
                for key in there
            ]
            drawn.append(chart(title, series, caption, unit))
            for names in left.values():
                for key in there:
                    names.pop(key, None)
            continue
        for run in runs:
            parts = [name for name in left[run.name] if name.startswith(keys)]
            for name in parts:
                left[run.name].pop(name)
            said = f"{title} ({run.name})" if len(runs) > 1 else title
            drawn.append(
                chart(
                    said,
                    [curve(run.rows, name, name.removeprefix(keys)) for name in parts],
                    caption,
                    unit,
                )
            )
    others = dict.fromkeys(name for names in left.values() for name in names)
    return [
        *drawn,
        *(
            chart(name, [curve(run.rows, name, run.name) for run in runs if name in left[run.name]])
            for name in others
        ),
    ]


def label(run: RunStory, key: str, many_runs: bool, many_keys: bool) -> str:
    return ", ".join(
        [*([run.name] if many_runs else []), *([LABELS.get(key, key)] if many_keys else [])]
    )


def planes(runs: Sequence[RunStory]) -> list[str]:
    """An information plane for every run whose log has bounds and likelihoods."""
    return [
        chart(
            f"Bound against log-likelihood{f' ({run.name})' if len(runs) > 1 else ''}",
            information_plane(run.rows),
            "",
            "nats per element",
            "log-likelihood",
        )
        for run in runs
    ]


def curve(rows: Rows, name: str, label: str = "") -> Series:
    """One figure of the log over the steps; what is missing or null is left out."""
    return Series(
        label or name, [(row["step"], row.get(name)) for row in rows if row.get(name) is not None]
    )


def shrunk(image: np.ndarray) -> np.ndarray:
    """At most `WIDEST_PX` wide."""
    height, width = image.shape[:2]
    if width <= WIDEST_PX:
        return image
    size = (WIDEST_PX, max(1, round(height * WIDEST_PX / width)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """("training.num_steps", 1000), ..."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif value not in ("", None):
            yield f"{prefix}{key}", value
