"""The demo's composition: embedded samples -> IBSD and plain training side by side -> scores -> a
photograph upscaled -> a page."""

from __future__ import annotations

import multiprocessing
import os
import queue
import re
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ibsd.commands.report_runs import psnr_y, report_runs
from ibsd.commands.run_record import versions
from ibsd.commands.train import Callbacks, train
from ibsd.config.run import (
    Config,
    DataConfig,
    ObjectiveConfig,
    RunConfig,
    StudentConfig,
)
from ibsd.data.samples import SPLITS, UPSCALING_SAMPLE, sample_pair, write_sample_pairs
from ibsd.evaluation.scores import BICUBIC, ScoreTable, evaluate
from ibsd.images.rgb import bicubic, read_rgb, to_array, to_tensor, write_rgb
from ibsd.reporting.demo import Story, demo_page
from ibsd.reporting.pictures import CROP_PX, Scene, before_after, telling_boxes
from ibsd.students import load_student
from ibsd.system import write_whole
from ibsd.training import Schedule, TrainingOptions, TrainingResult
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
)
OWN += ("photograph-ibsd.png", "before-after.png", "report.html", MARKER)
"""What the demo writes into its folder, and all that it ever removes from it."""

Event = tuple[Literal["say", "step", "validation", "done", "wrong", "failed"], str, Any, Any]
"""What a training in its own process sends: kind, method, and two values that depend on the
kind."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    table: ScoreTable
    report: Path
    picture: Path
    seconds: float


def run_demo(
    folder: Path,
    num_steps: int,
    force: bool,
    status: Callable[[str], None],
    on_event: Callable[[Event], None],
) -> DemoResult:
    """All of the demo, into `folder`.

    Args:
        num_steps: of both trainings.
        force: replace an earlier demo in the folder.
        status: takes sentences on what happens.
        on_event: takes what the trainings send.

    Errors: InputError if the folder holds anything but an earlier demo, or an earlier demo without
    `force`, or cannot be written to.
    """
    started = time.perf_counter()
    claim(folder, force)
    status(
        f"writing pairs of {len(SPLITS['train'])} photographs to learn from, degraded as by a camera"
    )
    sets = write_sample_pairs(folder / "pairs", SCALE, variants=VARIANTS)
    configs = {
        method: demo_config(folder, objective, num_steps) for method, objective in METHODS.items()
    }
    status(f"training the same small network twice, {num_steps:,} steps each")
    results = train_side_by_side(configs, on_event)
    status(f"scoring both on {len(sets.test)} photographs that they never saw")
    students = {
        method: load_student(folder / objective / "last.safetensors")
        for method, objective in METHODS.items()
    }
    table = evaluate(students, sets.test, SCALE)
    write_whole(folder / "scores.json", table.to_json())
    write_whole(folder / "scores.csv", table.to_csv())
    status("upscaling a photograph that nobody saw")
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
        num_photographs=len(SPLITS["train"]),
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
    """Makes the folder ours: new or empty, or that of an earlier demo, whose files go if `force`.
    InputError otherwise."""
    try:
        there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        if there and MARKER not in there:
            raise InputError(
                f"{folder} holds {there[0]}, which no demo has made: choose another folder with --output"
            )
        if there and not force:
            raise InputError(
                f"{folder} holds an earlier demo: add --force to replace it, or choose another folder with --output"
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
            f"{folder} cannot be written to ({error.strerror}): choose another folder with --output"
        ) from None


def train_side_by_side(
    configs: Mapping[str, Config], on_event: Callable[[Event], None]
) -> dict[str, TrainingResult]:
    """Every training in a process of its own with one thread: as fast as two cores allow, and the
    same on every machine."""
    context = multiprocessing.get_context("spawn")
    events: multiprocessing.Queue[Event] = context.Queue()
    workers = {
        method: context.Process(target=train_one, args=(method, config, events), daemon=True)
        for method, config in configs.items()
    }
    results: dict[str, TrainingResult] = {}
    try:
        handler = signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # inherited: Ctrl-C is for us, who then end them
        for worker in workers.values():
            worker.start()
        signal.signal(signal.SIGINT, handler)
        while len(results) < len(workers):
            try:
                event = events.get(timeout=1)
            except queue.Empty:
                for method in workers.keys() - results.keys():
                    if not workers[method].is_alive():
                        raise InputError(
                            f"the {method} training was ended from outside, as when memory runs out: free some and try again"
                        ) from None
                continue
            kind, method, first, _ = event
            if kind == "done":
                results[method] = TrainingResult(**first)
            elif kind == "wrong":
                raise InputError(first)
            elif kind == "failed":
                raise RuntimeError(f"the {method} training failed:\n{first}")
            on_event(event)
    finally:
        for worker in workers.values():
            if worker.is_alive():
                worker.terminate()
            if worker.pid is not None:
                worker.join()
    return results


def train_one(method: str, config: Config, events: multiprocessing.Queue[Event]) -> None:
    """One training, in its own process; says by `events` how it goes."""
    parent = os.getppid()
    last_sent = 0.0

    def on_step(step: int, terms: dict[str, float]) -> None:
        nonlocal last_sent
        if time.monotonic() - last_sent > 0.2 or step == config.training.num_steps:
            last_sent = time.monotonic()
            events.put(("step", method, step, dict(terms)))

    callbacks = Callbacks(
        log=lambda sentence: events.put(("say", method, sentence, None)),
        on_step=on_step,
        on_validation=lambda step, scores: events.put(("validation", method, step, scores)),
        stop_requested=lambda: None if os.getppid() == parent else "the demo was killed",
    )
    try:
        result = train(config, callbacks=callbacks)
        if not result.finished:
            raise InputError(
                f"the {method} training stopped at step {result.step}: {result.reason}"
            )
        events.put(("done", method, vars(result), None))
    except InputError as error:
        events.put(("wrong", method, str(error), None))
    except Exception:
        events.put(("failed", method, traceback.format_exc(), None))


def upscale_photograph(folder: Path) -> Scene:
    """The photograph that no split holds, by every method, through files as `ibsd upscale` does
    it."""
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
    found = re.search(
        rf"^\| `{name}\.jpg` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE
    )
    assert found is not None, f"{name} has no credits"
    title, author, licence = (re.sub(r"\(<[^>]*>\)", "", text).strip() for text in found.groups())
    return f"Photograph: {title}, by {author}, {licence}; made smaller and degraded here."


def described(
    configs: Mapping[str, Config], results: Mapping[str, TrainingResult]
) -> list[tuple[str, str]]:
    """The settings that matter, and what the trainings took."""
    config = next(iter(configs.values()))
    options = ", ".join(f"{name} {value}" for name, value in config.student.options.items())
    return [
        ("network", f"{config.student.name} x{config.student.scale} ({options})"),
        ("steps of each training", f"{config.training.num_steps:,}"),
        (
            "batch",
            f"{config.data.batch_size} patches of {config.data.patch_px} x {config.data.patch_px} pixels",
        ),
        ("seed", str(config.run.seed)),
        *(
            (f"time of the {method} training", f"{result.seconds:.0f} s on one core")
            for method, result in results.items()
        ),
        ("weights shown", "running average at the last step"),
    ]
