"""`ibsd demo` without a terminal: samples -> IBSD and plain training side by side -> scores -> an
upscaled photograph -> a page."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from ibsd.commands.pictures import psnr_y
from ibsd.commands.report import report_runs
from ibsd.commands.run_record import versions
from ibsd.commands.train import train
from ibsd.comparison.pool import (
    Emit,
    Event,
    Outcome,
    Worker,
    in_processes,
    parent_is_gone,
    start_worker,
)
from ibsd.config.run import Config, DataConfig, ObjectiveConfig, RunConfig, StudentConfig
from ibsd.data.samples import SPLITS, UPSCALING_SAMPLE, sample_pair, write_sample_pairs
from ibsd.evaluation.scores import BICUBIC, ScoreTable, evaluate
from ibsd.images.rgb import bicubic, read_rgb, to_array, to_tensor, write_rgb
from ibsd.reporting.demo import Story, demo_page
from ibsd.reporting.pictures import CROP_PX, Scene, before_after, telling_boxes
from ibsd.students import load_student
from ibsd.system import write_whole
from ibsd.training import Schedule, TrainingOptions, TrainingResult
from ibsd.training.execution import Callbacks
from ibsd.training.tracking import read_json_lines
from ibsd.types import InputError
from ibsd.upscaling import upscale_files

SCALE = 3
NUM_STEPS = 2200
VARIANTS = 4
"""Degradations of each training photograph."""
METHODS = {"plain": "plain", "IBSD": "ibsd"}
"""Name in tables and pages -> name of the objective and of the run's folder; the last one is what
the demo shows."""

MARKER = ".ibsd-demo"
OWN = (
    "pairs",
    *METHODS.values(),
    "scores.json",
    "scores.csv",
    "photograph-lr.png",
    "photograph-bicubic.png",
    "photograph-plain.png",
    "photograph-ibsd.png",
    "before-after.png",
    "report.html",
    MARKER,
)
"""What the demo writes into its folder, and all that it ever removes from it."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    table: ScoreTable
    report: Path
    picture: Path
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Places and mean scores, plain values and paths."""
        return {
            "report": self.report,
            "picture": self.picture,
            "means": self.table.means,
            "images": self.table.num_images,
            "scale": self.table.scale,
            "seconds": self.seconds,
        }


class Follower(Protocol):
    """Hears what the demo does. `name` is the method that trains."""

    def remark(self, sentence: str) -> None: ...

    def log(self, name: str, sentence: str) -> None: ...

    def on_step(self, name: str, step: int, terms: Mapping[str, float]) -> None: ...

    def on_validation(self, name: str, step: int, scores: Mapping[str, float]) -> None: ...


def run_demo(folder: Path, num_steps: int, force: bool, follower: Follower) -> DemoResult:
    """The whole demo, into `folder`.

    Args:
        num_steps: of both trainings.
        force: replace an earlier demo in the folder.

    Errors: InputError if the folder holds other files, or an earlier demo without `force`, or
    cannot be written to.
    """
    started = time.perf_counter()
    claim(folder, force)
    num_photographs = len(SPLITS["train"])
    follower.remark(f"writing pairs of {num_photographs} photographs, degraded like a camera's")
    sets = write_sample_pairs(folder / "pairs", SCALE, variants=VARIANTS)
    configs = {
        method: demo_config(folder, objective, num_steps) for method, objective in METHODS.items()
    }
    follower.remark(f"training the same small network twice, {num_steps:,} steps each")
    results = train_side_by_side(configs, follower)
    follower.remark(f"scoring both on {len(sets.test)} photographs that they never saw")
    students = {
        method: load_student(folder / objective / "last.safetensors")
        for method, objective in METHODS.items()
    }
    table = evaluate(students, sets.test, SCALE)
    write_whole(folder / "scores.json", table.to_json())
    write_whole(folder / "scores.csv", table.to_csv())
    follower.remark("upscaling a photograph that neither saw")
    photograph = upscale_photograph(folder)
    boxes = telling_boxes(list(photograph.versions.values()), *CROP_PX, count=3, grid=SCALE)
    shown = list(photograph.versions)[-1]
    pictured = before_after(
        photograph.versions[BICUBIC], photograph.versions[shown], (BICUBIC, shown)
    )
    write_rgb(folder / "before-after.png", pictured)
    logs = {}
    for method, objective in METHODS.items():
        report_runs([folder / objective], folder / objective / "report.html")
        logs[method] = read_json_lines(folder / objective / "log.jsonl")
    story = Story(
        photograph,
        credit(UPSCALING_SAMPLE),
        table,
        logs,
        described(configs, results),
        versions(),
        num_parameters=sum(parameter.numel() for parameter in students[shown].parameters()),
        num_photographs=num_photographs,
        minutes=results[shown].seconds / 60,
    )
    write_whole(folder / "report.html", demo_page(story, boxes))
    return DemoResult(
        table, folder / "report.html", folder / "before-after.png", time.perf_counter() - started
    )


def demo_config(folder: Path, objective: str, num_steps: int) -> Config:
    """One of the two trainings: they differ in the objective alone."""
    ibsd = {
        "warm_up": num_steps // 9,
        "ramp": max(1, num_steps // 4),
        "period": max(1, num_steps // 4),
    }
    return Config(
        StudentConfig("imdn", SCALE, {"width": 24, "num_blocks": 3}),
        DataConfig(pairs=str(folder / "pairs"), batch_size=4, patch_px=24),
        ObjectiveConfig(objective, ibsd if objective == "ibsd" else {}),
        TrainingOptions(
            num_steps=num_steps,
            learning_rate=2e-3,
            schedule=Schedule("cosine", warm_up=min(30, num_steps // 4)),
            ema_decay=0.99,
            log_every=50,
            diagnostics_every=200,
            validate_every=200,
            checkpoint_every=0,
        ),
        RunConfig(folder=str(folder / objective), device="cpu", threads=1),
    )


def claim(folder: Path, force: bool) -> None:
    """Makes or empties the folder. InputError unless it is empty, or holds an earlier demo and
    `force` is set."""
    try:
        there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        if there and MARKER not in there:
            raise InputError(
                f"{folder} holds {there[0]}, which is no demo's: choose another --output"
            )
        if there and not force:
            raise InputError(
                f"{folder} holds an earlier demo: add --force, or choose another --output"
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).touch()
        for name in OWN[:-1]:
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written to ({error.strerror}): choose another --output"
        ) from None


def train_side_by_side(
    configs: Mapping[str, Config], follower: Follower
) -> dict[str, TrainingResult]:
    """Each training runs in a process of its own, on one thread, so that results are the same on
    every machine. The first failure ends them all."""
    results: dict[str, TrainingResult] = {}
    errors: list[str] = []
    failures: list[tuple[str, Outcome]] = []

    def start(method: str) -> Worker:
        return start_worker(__name__, train_one.__name__, method, configs[method])

    def on_event(method: str, event: Event) -> None:
        match event.kind:
            case "result":
                results[method] = event.values[0]
            case "error":
                errors.append(event.values[0])
            case "log":
                follower.log(method, *event.values)
            case "step":
                follower.on_step(method, *event.values)
            case "validation":
                follower.on_validation(method, *event.values)

    def on_end(method: str, outcome: Outcome) -> None:
        if outcome != "made":
            failures.append((method, outcome))

    def failed() -> str | None:
        return "another training failed" if failures else None

    in_processes(list(configs), len(configs), start, failed, on_event, on_end)
    for method, outcome in failures:
        if outcome == "broken":
            raise RuntimeError(f"the {method} training failed:\n{errors[0]}")
        if outcome == "wrong":
            raise InputError(errors[0])
        raise InputError(f"the {method} training was killed: free some memory and try again")
    return results


def train_one(emit: Emit, method: str, config: Config) -> Outcome:
    """One training, in its own process."""
    last_sent = 0.0

    def on_step(step: int, terms: dict[str, float]) -> None:
        nonlocal last_sent
        if time.monotonic() - last_sent > 0.2 or step == config.training.num_steps:
            last_sent = time.monotonic()
            emit("step", step, dict(terms))

    callbacks = Callbacks(
        log=lambda sentence: emit("log", sentence),
        on_step=on_step,
        on_validation=lambda step, scores: emit("validation", step, scores),
        stop_requested=parent_is_gone,
    )
    result = train(config, callbacks=callbacks)
    if not result.finished:
        raise InputError(f"the {method} training stopped at step {result.step}: {result.reason}")
    emit("result", result)
    return "made"


def upscale_photograph(folder: Path) -> Scene:
    """The photograph that no split holds, by every method, upscaled as `ibsd upscale` does it."""
    lr, hr = sample_pair(UPSCALING_SAMPLE, SCALE)
    write_rgb(folder / "photograph-lr.png", lr)
    pictures = {BICUBIC: to_array(bicubic(to_tensor(lr), SCALE))}
    write_rgb(folder / "photograph-bicubic.png", pictures[BICUBIC])
    for method, objective in METHODS.items():
        target = folder / f"photograph-{objective}.png"
        [result] = upscale_files(
            [folder / "photograph-lr.png"],
            target,
            load_student(folder / objective / "last.safetensors"),
        )
        if result.error:
            raise InputError(result.error)
        pictures[method] = read_rgb(target)
    psnr = {method: psnr_y(picture, hr, SCALE) for method, picture in pictures.items()}
    return Scene(UPSCALING_SAMPLE, lr, pictures, hr, psnr)


def credit(name: str) -> str:
    """Title, author and licence of a sample, out of the table of credits."""
    table = files("ibsd").joinpath("data/photographs/CREDITS.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{name}\.jpg` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE)
    assert row is not None, f"{name} has no credits"
    title, author, licence = (re.sub(r"\(<[^>]*>\)", "", text).strip() for text in row.groups())
    return f"Photograph: {title}, by {author}, {licence}; made smaller and degraded here."


def described(
    configs: Mapping[str, Config], results: Mapping[str, TrainingResult]
) -> list[tuple[str, str]]:
    """The settings that matter, and what the trainings took."""
    config = next(iter(configs.values()))
    options = ", ".join(f"{name} {value}" for name, value in config.student.options.items())
    patch_px = config.data.patch_px
    return [
        ("network", f"{config.student.name} x{config.student.scale} ({options})"),
        ("steps of each training", f"{config.training.num_steps:,}"),
        ("batch", f"{config.data.batch_size} patches of {patch_px} x {patch_px} pixels"),
        ("seed", str(config.run.seed)),
        *(
            (f"time of the {method} training", f"{result.seconds:.0f} s on one core")
            for method, result in results.items()
        ),
        ("weights shown", "running average at the last step"),
    ]
