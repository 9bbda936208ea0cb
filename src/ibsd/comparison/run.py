"""One run: train, score the running average and the last weights on every test set, and give the
record.

A run that is killed at any moment goes on from its last checkpoint, and its record is the one it
would have had.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file
from torch import Tensor

from ibsd.comparison.identity import Identity
from ibsd.comparison.machine import machine_facts, peak_memory_mib, reset_peak_memory
from ibsd.comparison.pairing import layout_hash, weights_hash
from ibsd.comparison.store import FINISHED, RunRecord, TestScores
from ibsd.data.pairs import Pair
from ibsd.evaluation.scores import BICUBIC, LoadedPair, ScoreTable, evaluate
from ibsd.export.weights import save_student
from ibsd.students.student import Student
from ibsd.system import write_whole
from ibsd.training.tracking import JsonLines, read_json_lines
from ibsd.training.trainer import Trainer

AVERAGED, RAW = "ema", "raw"
"""Kinds of weights: the running average at the last step (primary), and the last step's own."""
WEIGHT_FILES = {AVERAGED: "last.safetensors", RAW: "last-raw.safetensors"}
SECONDS_BETWEEN_LINES = 60.0


@dataclass(frozen=True)
class TestSet:
    """Pictures to score on."""

    role: str
    pairs: tuple[Pair | LoadedPair, ...] = ()
    parts: tuple[str, ...] = ()
    """In place of pairs: earlier test sets of the same pictures in the same order, whose figures
    are averaged picture by picture."""


class Factory(Protocol):
    """Makes the trainer of a run, at its first step, its initial weights and data order depending
    on the run's seed alone."""

    def __call__(self, checkpoints: Path) -> Trainer: ...


@dataclass(frozen=True)
class Run:
    """A run to be made."""

    identity: Identity
    factory: Factory
    tests: Mapping[str, TestSet]
    lpips: bool = False
    primary: str = ""
    """`protocol.metric`; of a row of a degradation matrix no other figure is kept."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else to note of the machine, such as versions."""
    threads: int = 1
    """Threads of the CPU; figures are repeatable bit for bit with 1."""


def execute(
    run: Run,
    folder: Path,
    log: Callable[[str], None] = lambda sentence: None,
    stop_requested: Callable[[], str | None] = lambda: None,
) -> RunRecord | None:
    """Makes the run with `folder` for checkpoints, log and weights; goes on where an earlier
    process was ended. None if asked to stop."""
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.identity.seed)
    reset_peak_memory()
    trainer = run.factory(folder / "checkpoints")
    initial_weights = weights_hash(trainer.student.state_dict())
    trainer.log, trainer.stop_requested, trainer.on_step = (
        log,
        stop_requested,
        now_and_then(log, trainer.options.num_steps),
    )
    trainer.resume()
    trainer.trackers = [JsonLines(folder / "log.jsonl", trainer.step)]
    first, wall, cpu = trainer.step, time.perf_counter(), time.process_time()
    result = trainer.run()
    cost = add_cost(
        folder / "cost.json",
        result.step - first,
        time.perf_counter() - wall,
        time.process_time() - cpu,
    )
    given_up = trainer.must_give_up
    if not result.finished and not given_up:
        return None

    source = trainer.source
    pairing = {
        "initial_weights": initial_weights,
        "batches": source.digest.hex(),
        "marks": {str(count): digest.hex() for count, digest in sorted(source.marked.items())},
        "num_steps": result.step,
        "keeps_data_order": trainer.objective.paired,
    }
    students = {AVERAGED: trainer.average.student, RAW: trainer.student.eval()}
    for weights, student in students.items():
        save_student(
            student, folder / WEIGHT_FILES[weights], {"run": run.identity.name, "weights": weights}
        )
    tests: dict[str, TestScores] = {}
    if result.finished:
        for name, test in run.tests.items():
            parts = [tests[part] for part in test.parts]
            tests[name] = (
                mean_scores(test.role, parts) if parts else score_on(test, students, run.lpips)
            )
        for part in {part for test in run.tests.values() for part in test.parts}:
            tests[part] = primary_alone(tests[part], run.primary)
    terms, figures = split_log(folder / "log.jsonl")
    return RunRecord(
        identity=run.identity,
        outcome=FINISHED if result.finished else result.reason,
        pairing=pairing,
        tests=tests,
        final={
            "terms": {name: values[-1] for name, values in terms.items() if name != "step"},
            "skipped": result.skipped,
            "alarms": int(sum(figures.get("alarms", []))),
        },
        diagnostics=figures,
        inference=inference_facts(load_file(folder / WEIGHT_FILES[AVERAGED])),
        cost=cost | {"peak_memory_mib": peak_memory_mib(source.device)},
        machine=machine_facts(source.device)
        | run.facts
        | {"threads": run.threads, "finished": now()},
    )


def now_and_then(log: Callable[[str], None], num_steps: int) -> Callable[[int, object], None]:
    """For a trainer's `on_step`: says how far it is."""
    last = time.monotonic()

    def on_step(step: int, _: object) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
            last = now
            log(f"step {step:,} of {num_steps:,}")

    return on_step


def score_on(test: TestSet, students: Mapping[str, Student], lpips: bool) -> TestScores:
    """Every protocol's figures of every picture."""
    scale = next(iter(students.values())).spec.scale
    device = next(next(iter(students.values())).parameters()).device
    table = evaluate(students, test.pairs, scale, device, lpips)
    bicubic = {
        f"{protocol}.{metric}": round(table.means[BICUBIC][protocol][metric], 6)
        for protocol, metric in table.columns
    }
    rows = [row for row in table.rows if row.method == BICUBIC]
    scores = {weights: per_image(table, weights) for weights in students}
    return TestScores(
        test.role,
        tuple(row.image for row in rows),
        tuple(row.patches for row in rows),
        bicubic,
        scores,
    )


def mean_scores(role: str, parts: Sequence[TestScores]) -> TestScores:
    """Of test sets of the same pictures: each picture's mean, so that pictures and not pictures
    times sets are the sample."""

    def mean(values: Iterable[float]) -> float:
        return round(sum(values) / len(parts), 6)

    first = parts[0]
    scores = {
        weights: {
            metric: tuple(
                map(mean, zip(*(part.scores[weights][metric] for part in parts), strict=True))
            )
            for metric in first.scores[weights]
        }
        for weights in first.scores
    }
    bicubic = {metric: mean(part.bicubic[metric] for part in parts) for metric in first.bicubic}
    return TestScores(role, first.images, first.patches, bicubic, scores)


def primary_alone(scores: TestScores, primary: str) -> TestScores:
    """The primary figure of the averaged weights: all that is shown of a row of a matrix."""
    figures = scores.scores[AVERAGED]
    return replace(
        scores,
        bicubic={metric: mean for metric, mean in scores.bicubic.items() if metric == primary},
        scores={AVERAGED: {primary: figures[primary]} if primary in figures else {}},
    )


def per_image(table: ScoreTable, method: str) -> dict[str, tuple[float, ...]]:
    rows = [row for row in table.rows if row.method == method]
    return {
        f"{protocol}.{metric}": tuple(round(row.scores[protocol][metric], 6) for row in rows)
        for protocol, metric in table.columns
    }


def split_log(path: Path) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """(terms with the learning rate, health figures) as columns."""
    lines = read_json_lines(path)
    terms = [
        {name.removeprefix("term/"): value for name, value in line.items()}
        for line in lines
        if "learning_rate" in line
    ]
    return columns(terms), columns([line for line in lines if "learning_rate" not in line])


def columns(lines: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Log lines as one list per figure, 6 significant digits; None where a line lacks it."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    return {name: [_rounded(line.get(name)) for line in lines] for name in names}


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def inference_facts(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What an upscaler would load."""
    return {
        "parameters": sum(tensor.numel() for tensor in state.values()),
        "layout": layout_hash(state),
        "weights": weights_hash(state),
    }


def add_cost(path: Path, steps: int, seconds: float, cpu_seconds: float) -> dict[str, Any]:
    """Time of training so far, summed over the processes that ended in order; a killed one leaves
    nothing behind.

    Seconds on the clock depend on what else the machine does; seconds of the processor much less.
    """
    before = (
        json.loads(path.read_text())
        if path.is_file()
        else {"timed_steps": 0, "seconds": 0.0, "cpu_seconds": 0.0}
    )
    total = {
        "timed_steps": before["timed_steps"] + steps,
        "seconds": before["seconds"] + (seconds if steps else 0.0),
        "cpu_seconds": before["cpu_seconds"] + (cpu_seconds if steps else 0.0),
    }
    write_whole(path, json.dumps(total))
    count = total["timed_steps"]
    per_step = {
        f"{name}_per_step": round(total[name] / count, 6) if count else None
        for name in ("seconds", "cpu_seconds")
    }
    return {"timed_steps": count, **per_step}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether this process has `folder` to itself meanwhile. The system lets go of the claim when
    the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
