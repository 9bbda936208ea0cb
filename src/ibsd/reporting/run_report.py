"""The page of one training run, made from what its folder holds: settings, curves, alarms, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ibsd.images import read_rgb
from ibsd.reporting import page
from ibsd.reporting.curves import Series, chart
from ibsd.training.tracking import read_json_lines
from ibsd.types import InputError

Rows = Sequence[Mapping[str, Any]]
"""Lines of a run's log: {"step": ..., figures}."""

WIDEST_PX = 1800

CHARTS = (
    ("val/psnr_y", "PSNR-Y on val", "dB", "Nearness to the validation originals, by the running average of the weights; more is better."),
    ("val/ssim_y", "SSIM-Y on val", "", "Likeness of structures, at most 1."),
    ("term/l1", "L1", "", "Mean absolute difference to the original, on training patches."),
    ("term/wavelet", "Wavelet loss", "", "Difference to the soft target in fine detail, on training patches."),
    ("term/bound", "Bound", "nats per element", "How much of each feature map the next one still tells; what IBSD presses down."),
    ("term/nll", "Likelihood loss", "nats per element", "How well the estimators predict the feature maps; lower is better."),
    ("bound/", "Bound per link", "nats per element", "Far below 0: the estimators lag behind. Exploding: they overfit."),
    ("nll/", "Likelihood loss per link", "nats per element", "A rise while the bound falls: the student hides instead of forgetting."),
    ("scale/", "Feature scale", "", "Standard deviation of each node. Shrinking features lower the bound without forgetting anything."),
    ("gradient_share/", "Gradient, as a share of L1's", "", "How strongly each term pulls."),
    ("gradient_cosine/", "Gradient, angle to L1's", "cosine", "Below 0 a term pulls against L1."),
    ("soft_target/", "Soft target", "", "The share of the student's past in it, and of coefficients whose gradient changes sign by it."),
    ("learning_rate", "Learning rate", "", ""),
)  # fmt: skip
"""(name of one figure, or the beginning of several names, ending in a slash; title; unit; caption), in the order of the page."""

SILENT = ("alarms",)


def write_run_report(folder: Path) -> Path:
    """Writes `report.html` into the folder of a run, finished or not, and returns its path. InputError where that fails."""
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    rows = read_json_lines(folder / "log.jsonl") if (folder / "log.jsonl").is_file() else []
    messages = folder / "messages.log"
    sentences = messages.read_text(encoding="utf-8").splitlines() if messages.is_file() else []
    pictures = sorted((folder / "validation").glob("step-*.png"))
    target = folder / "report.html"
    write_page(target, run_page(folder.absolute().name, facts, rows, list(dict.fromkeys(sentences)), pictures))
    return target


def run_page(name: str, facts: Mapping[str, Any], rows: Rows, sentences: Sequence[str], pictures: Sequence[Path]) -> str:
    """The page as text."""
    config, result, versions = facts["config"], facts.get("result", {}), facts.get("versions", {})
    student, objective, training = config["student"], config["objective"], config["training"]
    scores = [(row["step"], row["val/psnr_y"]) for row in rows if row.get("val/psnr_y") is not None]
    step = result.get("step", rows[-1]["step"] if rows else 0)
    done = f"{step:,} of {training['num_steps']:,} steps"
    summary = [("network", f"{student['name']} x{student['scale']}"), ("objective", objective["name"]), ("steps", done)]
    if result:
        summary.append(("how it ended", result["reason"]))
    if scores:
        best_step, best = max(scores, key=lambda score: score[1])
        summary += [("best on val", f"{best:.2f} dB at step {best_step:,}"), ("last on val", f"{scores[-1][1]:.2f} dB")]
    if result.get("skipped"):
        summary.append(("skipped steps", f"{result['skipped']:,}"))
    sections = [
        page.facts(summary),
        page.section("What the run said", *(page.paragraph(sentence, "alarm") for sentence in sentences)),
        page.section("Curves", page.grid(charts(rows))),
    ]
    if pictures:
        caption = f"Step {int(pictures[-1].stem.removeprefix('step-')):,}: LR, result and original."
        sections.append(page.section("Validation pictures", page.picture(shrunk(read_rgb(pictures[-1])), caption)))
    settings = ((key, str(value)) for key, value in flat(config))
    sections.append(
        page.section(
            "Settings", page.details("Every setting of the run", page.facts(settings)), about="A resumed run shows the latest ones."
        )
    )
    lead = f"{student['name']} x{student['scale']}, trained with {objective['name']}: {done}."
    return page.page(name, "ibsd training run", lead, sections, ", ".join(f"{key} {value}" for key, value in versions.items()))


def charts(rows: Rows) -> list[str]:
    """A chart for every kind of figure in the log, known ones first."""
    left = dict.fromkeys(name for row in rows for name in row if name != "step" and name not in SILENT)
    drawn = []
    for key, title, unit, caption in CHARTS:
        names = [name for name in left if name == key or (key.endswith("/") and name.startswith(key))]
        for name in names:
            left.pop(name)
        drawn.append(chart(title, [curve(rows, name, name.removeprefix(key) or title) for name in names], caption, unit))
    return [*drawn, *(chart(name, [curve(rows, name)]) for name in left)]


def curve(rows: Rows, name: str, label: str = "") -> Series:
    """One figure of the log over the steps; what is missing or null is left out."""
    return Series(label or name, [(row["step"], row.get(name)) for row in rows if row.get(name) is not None])


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


def write_page(path: Path, text: str) -> None:
    """All of the page or nothing. InputError where that fails."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: could not be written ({error.strerror}); free some space or choose another folder") from None
