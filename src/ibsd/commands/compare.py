"""`ibsd compare`: makes the runs of a comparison that are missing, or examines those that there
are, in this process or in several, and writes down what all of them say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ibsd.assembly import build_objective, build_source, build_student
from ibsd.commands.comparison_report import before_and_after, work_folder, write_results
from ibsd.commands.examine import Examiner
from ibsd.commands.plan import Comparison
from ibsd.commands.run_record import versions
from ibsd.comparison.design import RunName
from ibsd.comparison.identity import Identity, RunRequest
from ibsd.comparison.machine import reset_peak_memory
from ibsd.comparison.pairing import weights_hash
from ibsd.comparison.pool import (
    Emit,
    Event,
    Outcome,
    TimeLeft,
    Worker,
    claimed,
    in_processes,
    make_all,
    one_by_one,
    parent_is_gone,
    start_worker,
)
from ibsd.comparison.results import Results
from ibsd.comparison.run import record_of
from ibsd.comparison.store import RunRecord, Store
from ibsd.comparison.summary import summarise
from ibsd.config.comparison import CompareConfig, load_compare_config
from ibsd.inference.device import choose_device
from ibsd.system import make_folder
from ibsd.training.execution import Callbacks, execute
from ibsd.training.result import AVERAGED
from ibsd.types import InputError

SECONDS_BETWEEN_LINES = 60.0

Log = Callable[[str], None]
Task = Literal["make", "examine"]


def compare(
    config: CompareConfig,
    only: Sequence[str] = (),
    jobs: int = 1,
    table_only: bool = False,
    examine: bool = False,
    log: Log = lambda sentence: None,
    stop_requested: Callable[[], str | None] = lambda: None,
) -> Results:
    """Makes what is missing of a comparison, and writes results (JSON), pages (Markdown, HTML) and
    plots (SVG) of all runs that there are.

    Args:
        config: from `load_compare_config`.
        only: patterns of setting/arm/seed, such as "nikon-to-canon/ibsd/*". Runs that match any are
            made. Default: all.
        jobs: runs at a time, each on one thread; above 1 each in a process of its own.
        table_only: make no run, and read no image but those to show: tables of the runs in the
            folder, whatever their NUMERICS.
        examine: make no run, but examine those whose weights are still in the work folder
            (`ibsd.commands.examine`).
        log: takes sentences for the user.
        stop_requested: asked after every step. A reason ends the runs after a checkpoint, and the
            tables are made of the runs that there are.

    Errors: InputError for whatever is wrong with config or images, and if a run could not be made.
    """
    options = config.options
    if options.remarks and not Path(options.remarks).is_file():
        raise InputError(
            f"{config.path}: compare.remarks is {options.remarks}, and there is no such file; "
            "write it or leave it out"
        )
    comparison, store = Comparison(config), open_store(config)
    requests: dict[RunName, RunRequest] = {}
    outcomes: dict[RunName, Outcome] = {}
    if not table_only:
        requests = {name: comparison.request(name) for name in chosen(comparison.names, only)}
        if examine:
            to_do = to_examine(comparison, store, requests, log)
        else:
            to_do = to_make(store, requests, log)
        for folder in (options.folder, options.work):
            make_folder(Path(folder))
        task: Task = "examine" if examine else "make"
        outcomes = do_all(task, comparison, to_do, jobs, log, stop_requested)
        store = open_store(config)
    results, records = summarised(comparison, store, requests)
    stopped = stop_requested() is not None
    write_results(config, results, "" if stopped else before_and_after(comparison, records))
    raise_for(outcomes, log)
    return results


def stored_results(path: str | Path, overrides: Sequence[str] = ()) -> Results:
    """What the runs in the folder of a comparison say, whatever their NUMERICS; no image is read
    and nothing is written."""
    config = load_compare_config(path, overrides)
    return summarised(Comparison(config), open_store(config), {})[0]


def summarised(
    comparison: Comparison, store: Store, requests: Mapping[RunName, RunRequest]
) -> tuple[Results, dict[RunName, RunRecord]]:
    """(results, the runs they rest on): runs in `requests` by config, data and NUMERICS, the
    others by their config alone."""
    records: dict[RunName, RunRecord] = {}
    for name in comparison.names:
        if name in requests:
            record = store.find(requests[name])
        else:
            record = store.find(comparison.request(name, with_data=False), any_numerics=True)
        if record is not None:
            records[name] = record
    records |= by_other_weights(comparison, records)
    examinations = {
        name: examination
        for name, record in records.items()
        if (examination := store.examinations.get(record.identity.key))
    }
    watch = comparison.config.options.examine.watch
    return summarise(comparison.design(), records, examinations, watch), records


def by_other_weights(
    comparison: Comparison, records: Mapping[RunName, RunRecord]
) -> dict[RunName, RunRecord]:
    """Runs of the arms that are scored by other weights of another arm's runs."""
    derived: dict[RunName, RunRecord] = {}
    for name in comparison.all_names():
        source, kind = comparison.source_of(name.arm), comparison.config.arms[name.arm].weights
        record = records.get(name._replace(arm=source)) if source else None
        if record is None or any(kind not in test.scores for test in record.tests.values()):
            continue
        tests = {
            title: replace(test, scores={AVERAGED: test.scores[kind]})
            for title, test in record.tests.items()
        }
        identity = replace(record.identity, arm=name.arm)
        derived[name] = replace(record, identity=identity, tests=tests)
    return derived


def chosen(names: Sequence[RunName], only: Sequence[str]) -> list[RunName]:
    """The names that match any of the patterns; all for no pattern."""
    labels = {name: name_of(name) for name in names}
    for pattern in only:
        if not any(fnmatchcase(label, pattern) for label in labels.values()):
            raise InputError(
                f"--only {pattern} matches no run; runs are named setting/arm/seed, "
                f"the first is {labels[names[0]]}"
            )
    return [
        name
        for name in names
        if not only or any(fnmatchcase(labels[name], pattern) for pattern in only)
    ]


def name_of(name: RunName) -> str:
    """setting/arm/seed"""
    return "/".join(map(str, name))


def open_store(config: CompareConfig) -> Store:
    return Store(Path(config.options.folder))


def to_make(store: Store, requests: dict[RunName, RunRequest], log: Log) -> list[RunName]:
    """The runs that the store lacks."""
    missing = [name for name, request in requests.items() if store.find(request) is None]
    log(f"{len(requests)} runs: {len(requests) - len(missing)} are done, {len(missing)} to make")
    return missing


def to_examine(
    comparison: Comparison, store: Store, requests: dict[RunName, RunRequest], log: Log
) -> list[RunName]:
    """The finished runs of which there is no examination that asked the same."""
    finished = {
        name: record
        for name, request in requests.items()
        if (record := store.find(request)) and record.finished
    }
    one_of = {name.setting: name for name in finished}
    asked = {setting: Examiner(comparison, name).asked for setting, name in one_of.items()}
    missing: list[RunName] = []
    for name, record in finished.items():
        examination = store.examinations.get(record.identity.key)
        if examination is None or examination.asked != asked[name.setting]:
            missing.append(name)
    log(
        f"{len(finished)} finished runs: {len(finished) - len(missing)} are examined, "
        f"{len(missing)} to examine"
    )
    return missing


def do_all(
    task: Task,
    comparison: Comparison,
    names: list[RunName],
    jobs: int,
    log: Log,
    stop_requested: Callable[[], str | None],
) -> dict[RunName, Outcome]:
    """In this process or in several."""
    time_left = TimeLeft(len(names), log)

    def do_here(name: RunName) -> Outcome:
        return do_one(task, comparison, name, log, stop_requested)

    def start(name: RunName) -> Worker:
        return start_worker(__name__, do_in_worker.__name__, task, comparison, name)

    def on_event(name: RunName, event: Event) -> None:
        log(str(event.values[0]))

    def make(names: Sequence[RunName]) -> dict[RunName, Outcome]:
        if jobs == 1:
            return one_by_one(names, do_here, time_left)
        return in_processes(names, jobs, start, stop_requested, on_event, time_left)

    return make_all(names, make)


def do_in_worker(emit: Emit, task: Task, comparison: Comparison, name: RunName) -> Outcome:
    """The config and the digests of the images come from the parent: their files may have changed
    meanwhile, and are not read again."""
    return do_one(task, comparison, name, lambda sentence: emit("log", sentence), parent_is_gone)


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
    """Examines one run and writes it down, unless another process is at it or its weights are
    gone."""
    label, store = name_of(name), open_store(comparison.config)
    record = store.find(comparison.request(name))
    assert record is not None, f"{label} was there"
    with claimed(work_folder(comparison.config, record.identity)) as ours:
        if not ours:
            return "busy"
        examination = Examiner(comparison, name).examine(record)
        if examination is None:
            log(
                f"{label}: cannot be examined, its weights or its last checkpoint are not in "
                f"{comparison.config.options.work}"
            )
        else:
            store.add_examination(record.identity, examination)
            log(f"{label}: examined")
    return "made"


def make_one(
    comparison: Comparison, name: RunName, log: Log, stop_requested: Callable[[], str | None]
) -> Outcome:
    """Makes one run and writes it down, unless another process is at it or has done it."""
    request = comparison.request(name)
    folder = work_folder(comparison.config, request.identity)
    with claimed(folder) as ours:
        if not ours:
            return "busy"
        store = open_store(comparison.config)
        if store.find(request) is not None:
            return "made"
        record = make_record(
            comparison,
            name,
            request.identity,
            folder,
            lambda sentence: log(f"{name_of(name)}: {sentence}"),
            stop_requested,
        )
        if record is None:
            return "stopped"
        store.add(record)
    log(f"{name_of(name)}: {said_of(comparison, name, record)}")
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
    return record_of(
        identity,
        execution,
        folder,
        initial_weights,
        comparison.scoring(name),
        versions() | {"threads": threads},
    )


def said_of(comparison: Comparison, name: RunName, record: RunRecord) -> str:
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
    return f"{record.outcome}; {primary}: {', '.join(means)}"


def now_and_then(log: Log, num_steps: int) -> Callable[[int, object], None]:
    """For `on_step`: says how far a run is."""
    last = time.monotonic()

    def on_step(step: int, _: object) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
            last = now
            log(f"step {step:,} of {num_steps:,}")

    return on_step


def raise_for(outcomes: dict[RunName, Outcome], log: Log) -> None:
    """Says what could not be made, the worst first."""
    names = {
        outcome: [name_of(name) for name, reached in outcomes.items() if reached == outcome]
        for outcome in ("broken", "crashed", "wrong", "busy")
    }
    if names["broken"]:
        raise RuntimeError(f"runs that broke: {', '.join(names['broken'])}; see above")
    if names["crashed"]:
        raise InputError(
            f"runs whose process was killed or crashed: {', '.join(names['crashed'])}; most often "
            "the memory does not suffice: give more, or fewer --jobs, and run it again, as what "
            "was made is kept"
        )
    if names["wrong"]:
        raise InputError(
            f"runs that could not be made: {', '.join(names['wrong'])}; the reason stands above"
        )
    if names["busy"]:
        log(
            f"{len(names['busy'])} runs are being made by other processes: "
            f"{', '.join(names['busy'])}"
        )
