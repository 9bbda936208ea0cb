"""One run in a folder, started or resumed. `ibsd train`, `specialise`, `compare` and `demo` make
it here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ibsd.data.patches import PatchSource
from ibsd.distillation.objective import Objective
from ibsd.distributed import ALONE, Processes
from ibsd.export.weights import save_student
from ibsd.students.ema import frozen_copy, mixed
from ibsd.students.student import Student
from ibsd.system import make_folder
from ibsd.training.checkpoint import list_checkpoints
from ibsd.training.options import TrainingOptions
from ibsd.training.result import AVERAGED, BEST_FILE, MEAN, RAW, START, WEIGHT_FILES, TrainingResult
from ibsd.training.tracking import JsonLines, TensorBoard, Tracker
from ibsd.training.trainer import Trainer
from ibsd.types import InputError

CHECKPOINTS = "checkpoints"
LOG = "log.jsonl"
MESSAGES = "messages.log"

Log = Callable[[str], None]


@dataclass(frozen=True)
class Callbacks:
    """How a caller follows a run."""

    log: Log = lambda sentence: None
    """Takes sentences for the user."""
    on_step: Callable[[int, dict[str, float]], None] | None = None
    on_validation: Callable[[int, dict[str, float]], None] = lambda step, scores: None
    stop_requested: Callable[[], str | None] = lambda: None
    """Asked after every step. A reason ends the run after a checkpoint."""


@dataclass(frozen=True)
class Execution:
    """A run that has ended, finished or not."""

    trainer: Trainer
    result: TrainingResult
    num_steps: int
    """Steps made by this process."""
    cpu_seconds: float
    start: Student | None = None
    """The student before training, where `TrainingOptions.start_share` is set."""

    @property
    def students(self) -> dict[str, Student]:
        """{kind of weights: network}, in evaluation mode."""
        students = {AVERAGED: self.trainer.average.student, RAW: self.trainer.student.eval()}
        if self.start is not None:
            share = self.trainer.options.start_share
            students[MEAN] = mixed(self.start, students[AVERAGED], share)
            students[START] = self.start
        return students


def execute(
    objective: Objective,
    source: PatchSource,
    options: TrainingOptions,
    folder: Path,
    callbacks: Callbacks = Callbacks(),
    *,
    processes: Processes = ALONE,
    resume: bool = False,
    tensorboard: bool = True,
    validate: Callable[[Student, int], dict[str, float]] | None = None,
    primary: str = "",
    metadata: Mapping[str, str] | None = None,
) -> Execution:
    """Trains in `folder`, and saves the weights of a run that finishes.

    The folder receives checkpoints, `log.jsonl`, `messages.log`, tensorboard events, and as weights
    the running average at the last step, the last step's own, the mean with the start where
    `start_share` asks for it, and the average at its best score.

    Args:
        objective: around a student with its initial weights.
        source: at its first batch.
        processes: those that train together. The main one writes and logs.
        resume: go on from the newest intact checkpoint; without one, start.
        validate, primary: as for `Trainer`.
        metadata: for the weight files.
    """
    checkpoints = folder / CHECKPOINTS
    make_folder(checkpoints)
    anew = not (resume and list_checkpoints(checkpoints))
    log = kept_log(callbacks.log, folder / MESSAGES, anew) if processes.is_main else callbacks.log
    metadata = dict(metadata or {})

    def on_best(averaged: Student, step: int) -> None:
        if processes.is_main:
            of_step = {"step": str(step), "weights": AVERAGED}
            save_student(averaged, folder / BEST_FILE, metadata | of_step)

    options = replace(options, start_share=options.start_share or objective.start_share)
    start = frozen_copy(objective.student) if options.start_share > 0 else None
    trainer = Trainer(
        objective,
        source,
        options,
        checkpoints=checkpoints,
        validate=validate,
        primary=primary,
        on_best=on_best,
        log=log,
        on_step=callbacks.on_step,
        stop_requested=callbacks.stop_requested,
        processes=processes,
    )
    if resume and trainer.resume():
        callbacks.log(f"resumed at step {trainer.step}")
    if processes.is_main:
        every = options.log_every
        trainer.trackers = open_trackers(folder, trainer.step, tensorboard, every, callbacks.log)
    first = trainer.step
    cpu = time.process_time()
    result = trainer.run()
    cpu_seconds = time.process_time() - cpu
    execution = Execution(trainer, result, result.step - first, cpu_seconds, start)
    if result.finished and processes.is_main:
        save_weights(execution, folder, metadata)
    return execution


def save_weights(execution: Execution, folder: Path, metadata: Mapping[str, str]) -> None:
    """The averaged and the raw weights of the last step, and their mean with the start."""
    step = str(execution.result.step)
    for weights, student in execution.students.items():
        if weights not in WEIGHT_FILES:  # the start is a file already
            continue
        of_step = {"step": step, "weights": weights}
        save_student(student, folder / WEIGHT_FILES[weights], {**metadata, **of_step})


def newest_step(folder: Path) -> int:
    """Step of the newest checkpoint of the run in `folder`, intact or not; 0 if there is none."""
    newest = list_checkpoints(folder / CHECKPOINTS)[-1:]
    return int(newest[0].name.removeprefix("step-")) if newest else 0


def open_trackers(
    folder: Path, resumed_step: int, tensorboard: bool, log_every: int, log: Log
) -> list[Tracker]:
    lines = JsonLines(folder / LOG, resumed_step)
    if log_every and lines.last_step + log_every <= resumed_step:
        log(
            f"{folder / LOG} was removed, cut or damaged: its curves have a gap from step "
            f"{lines.last_step + 1:,} to {resumed_step:,}"
        )
    trackers: list[Tracker] = [lines]
    if tensorboard:
        # A training machine may hold nothing but torch, numpy, pillow and safetensors.
        try:
            trackers.append(TensorBoard(folder / "tensorboard", resumed_step))
        except ImportError:
            pass
        except InputError:
            lines.close()
            raise
    return trackers


def kept_log(log: Log, path: Path, anew: bool) -> Log:
    """`log` that also appends every sentence to a file, for the report."""
    if anew:
        path.unlink(missing_ok=True)

    def log_and_keep(sentence: str) -> None:
        log(sentence)
        line = " ".join(sentence.split()) + "\n"
        with suppress(OSError), open(path, "ab") as file:
            file.write(line.encode(errors="backslashreplace"))

    return log_and_keep
