"""One run of a comparison: made and stored, or examined."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ibsd.assembly import build_objective, build_source, build_student
from ibsd.commands.examine import Examiner
from ibsd.commands.plan import Comparison, work_folder
from ibsd.commands.run_record import versions
from ibsd.comparison.design import RunName
from ibsd.comparison.identity import Identity
from ibsd.comparison.machine import reset_peak_memory
from ibsd.comparison.pairing import weights_hash
from ibsd.comparison.pool import Outcome
from ibsd.comparison.run import record_of
from ibsd.comparison.store import RunRecord, Store
from ibsd.config.comparison import CompareConfig
from ibsd.inference.device import choose_device
from ibsd.reporting.format import metric_title
from ibsd.system import claimed
from ibsd.training.execution import Callbacks, execute
from ibsd.training.result import AVERAGED

SECONDS_BETWEEN_LINES = 60.0

Log = Callable[[str], None]
Task = Literal["make", "examine"]


def name_of(name: RunName) -> str:
    """setting/arm/seed"""
    return "/".join(map(str, name))


def open_store(config: CompareConfig) -> Store:
    return Store(Path(config.options.folder))


def do_one(
    task: Task,
    comparison: Comparison,
    name: RunName,
    log: Log,
    stop_requested: Callable[[], str | None],
) -> Outcome:
    if task == "make":
        return make_one(comparison, name, log, stop_requested)
    return "stopped" if stop_requested() else examine_one(comparison, name, log)


def examine_one(comparison: Comparison, name: RunName, log: Log) -> Outcome:
    """Examines one run and stores that, unless another process does, or its weights are gone."""
    label = name_of(name)
    store = open_store(comparison.config)
    record = store.find(comparison.request(name))
    assert record is not None, f"{label} was there"
    with claimed(work_folder(comparison.config, record.identity)) as ours:
        if not ours:
            return "busy"
        examination = Examiner(comparison, name).examine(record)
        if examination is None:
            work = comparison.config.options.work
            log(f"{label}: cannot be examined, {work} lacks its weights or its last checkpoint")
        else:
            store.add_examination(record.identity, examination)
            log(f"{label}: examined")
    return "made"


def make_one(
    comparison: Comparison,
    name: RunName,
    log: Log,
    stop_requested: Callable[[], str | None],
    keep: Callable[[RunRecord], None] | None = None,
) -> Outcome:
    """Makes one run and stores it, unless another process does or did. With `keep` the run goes
    there instead of into the store."""
    request = comparison.request(name)
    folder = work_folder(comparison.config, request.identity)
    with claimed(folder) as ours:
        if not ours:
            return "busy"
        store = open_store(comparison.config)
        if store.find(request) is not None:
            return "made"

        def log_run(sentence: str) -> None:
            log(f"{name_of(name)}: {sentence}")

        record = make_record(comparison, name, request.identity, folder, log_run, stop_requested)
        if record is None:
            return "stopped"
        (keep or store.add)(record)
    log(f"{name_of(name)}: {outcome_text(comparison, name, record)}")
    return "made"


def make_record(
    comparison: Comparison,
    name: RunName,
    identity: Identity,
    folder: Path,
    log: Log,
    stop_requested: Callable[[], str | None],
) -> RunRecord | None:
    """Trains and scores one run in `folder`. None if it was stopped."""
    config = comparison.run_config(name)
    threads = config.run.threads or 1  # figures are repeatable bit for bit with one
    torch.set_num_threads(threads)
    torch.manual_seed(name.seed)
    reset_peak_memory()
    device = choose_device(config.run.device, "run.device")
    student = build_student(config).to(device)
    initial_weights = weights_hash(student.state_dict())
    objective = build_objective(config, student)
    train, _ = comparison.pairs(name)
    source = build_source(config, train, device, comparison.marks(name.setting))
    execution = execute(
        objective,
        source,
        config.training,
        folder,
        Callbacks(
            log=log,
            on_step=now_and_then(log, config.training.num_steps),
            stop_requested=stop_requested,
        ),
        resume=True,
        tensorboard=False,
        metadata={"run": identity.name},
    )
    made_with = versions() | {"threads": threads}
    scoring = comparison.scoring(name)
    return record_of(identity, execution, folder, initial_weights, scoring, made_with)


def outcome_text(comparison: Comparison, name: RunName, record: RunRecord) -> str:
    """How a run ended, with its primary figure."""
    primary = comparison.config.options.primary
    tests = comparison.design().settings[name.setting].whole_tests()
    means = [
        f"{test} {np.mean(record.tests[test].scores[AVERAGED][primary]):.3f}"
        for test in tests
        if test in record.tests
    ]
    if not means:
        return f"given up, {record.outcome}"
    return f"{record.outcome}; {metric_title(primary)}: {', '.join(means)}"


def now_and_then(log: Log, num_steps: int) -> Callable[[int, object], None]:
    """For `on_step`: logs once a minute how far a run is."""
    last = time.monotonic()

    def on_step(step: int, _: object) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
            last = now
            log(f"step {step:,} of {num_steps:,}")

    return on_step
