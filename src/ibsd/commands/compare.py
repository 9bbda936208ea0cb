"""`ibsd compare` without a terminal: makes the missing runs of a comparison, or examines the
finished ones, in one process or several, and writes the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from ibsd.commands.comparison_report import before_and_after, write_results
from ibsd.commands.comparison_run import Log, Task, do_one, name_of, open_store
from ibsd.commands.examine import Examiner
from ibsd.commands.plan import Comparison
from ibsd.comparison.design import RunName
from ibsd.comparison.identity import RunRequest
from ibsd.comparison.pool import (
    Emit,
    Event,
    Outcome,
    TimeLeft,
    Worker,
    in_processes,
    make_all,
    one_by_one,
    parent_is_gone,
    start_worker,
)
from ibsd.comparison.results import Results
from ibsd.comparison.store import RunRecord, Store
from ibsd.comparison.summary import summarise
from ibsd.config.comparison import CompareConfig, load_compare_config
from ibsd.system import make_folder
from ibsd.training.result import AVERAGED
from ibsd.types import InputError


def compare(
    config: CompareConfig,
    only: Sequence[str] = (),
    jobs: int = 1,
    cluster: str | None = None,
    table_only: bool = False,
    examine: bool = False,
    log: Log = lambda sentence: None,
    stop_requested: Callable[[], str | None] = lambda: None,
) -> Results:
    """Makes the missing runs, and writes results (JSON), pages (Markdown, HTML) and plots (SVG) of
    all finished ones.

    Args:
        config: from `load_compare_config`.
        only: patterns of setting/arm/seed, such as "nikon-to-canon/ibsd/*". Default: all runs.
        jobs: runs at a time, each on one thread; above 1 each in a process of its own.
        cluster: the address of a Ray cluster, or "local"; instead of `jobs`.
        table_only: make no run. Show the runs in the folder, whatever their NUMERICS.
        examine: make no run. Examine those whose weights are still in the work folder
            (`ibsd.commands.examine`).
        log: takes sentences for the user.
        stop_requested: asked after every step. A reason ends the runs after a checkpoint.

    Errors: InputError for a mistake in config or images, and if a run could not be made.
    """
    options = config.options
    if options.remarks and not Path(options.remarks).is_file():
        raise InputError(f"{config.path}: compare.remarks, {options.remarks}, is no file: write it")
    comparison = Comparison(config)
    store = open_store(config)
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
        outcomes = do_all(task, comparison, to_do, jobs, cluster, log, stop_requested)
        store = open_store(config)
    results, records = summarised(comparison, store, requests)
    stopped = stop_requested() is not None
    write_results(config, results, "" if stopped else before_and_after(comparison, records))
    raise_for(outcomes, log)
    return results


def stored_results(path: str | Path, overrides: Sequence[str] = ()) -> Results:
    """The results of the runs in a comparison's folder, whatever their NUMERICS. Reads no image and
    writes nothing."""
    config = load_compare_config(path, overrides)
    return summarised(Comparison(config), open_store(config), {})[0]


def summarised(
    comparison: Comparison, store: Store, requests: Mapping[RunName, RunRequest]
) -> tuple[Results, dict[RunName, RunRecord]]:
    """(results, the runs they rest on): runs in `requests` by config, data and NUMERICS, the
    others by their config alone."""

    def find(name: RunName) -> RunRecord | None:
        if name in requests:
            return store.find(requests[name])
        return store.find(comparison.request(name, with_data=False), any_numerics=True)

    records = {name: record for name in comparison.names if (record := find(name))}
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
        source = comparison.source_of(name.arm)
        kind = comparison.config.arms[name.arm].weights
        record = records.get(name._replace(arm=source)) if source else None
        if record is None:
            continue
        tests = {  # a row of a degradation matrix has the averaged weights alone
            title: replace(test, scores={AVERAGED: test.scores[kind]})
            for title, test in record.tests.items()
            if kind in test.scores
        }
        if not tests:
            continue
        identity = replace(record.identity, arm=name.arm)
        derived[name] = replace(record, identity=identity, tests=tests)
    return derived


def chosen(names: Sequence[RunName], only: Sequence[str]) -> list[RunName]:
    """The names that match any of the patterns; all for no pattern."""
    labels = {name: name_of(name) for name in names}
    for pattern in only:
        if not any(fnmatchcase(label, pattern) for label in labels.values()):
            raise InputError(
                f"--only {pattern} matches no run; runs are called like {labels[names[0]]}"
            )
    if not only:
        return list(names)
    return [name for name in names if any(fnmatchcase(labels[name], one) for one in only)]


def to_make(store: Store, requests: dict[RunName, RunRequest], log: Log) -> list[RunName]:
    """The runs that the store lacks."""
    missing = [name for name, request in requests.items() if store.find(request) is None]
    log(f"runs: {len(requests) - len(missing)} done, {len(missing)} to make")
    return missing


def to_examine(
    comparison: Comparison, store: Store, requests: dict[RunName, RunRequest], log: Log
) -> list[RunName]:
    """The finished runs without an examination of the same options."""
    finished = {
        name: record
        for name, request in requests.items()
        if (record := store.find(request)) and record.finished
    }
    one_of = {name.setting: name for name in finished}
    asked = {setting: Examiner(comparison, name).asked for setting, name in one_of.items()}

    def is_examined(name: RunName) -> bool:
        examination = store.examinations.get(finished[name].identity.key)
        return examination is not None and examination.asked == asked[name.setting]

    missing = [name for name in finished if not is_examined(name)]
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
    cluster: str | None,
    log: Log,
    stop_requested: Callable[[], str | None],
) -> dict[RunName, Outcome]:
    """In this process, in several, or on a cluster."""
    time_left = TimeLeft(len(names), log)

    def do_here(name: RunName) -> Outcome:
        return do_one(task, comparison, name, log, stop_requested)

    def start(name: RunName) -> Worker:
        return start_worker(__name__, do_in_worker.__name__, task, comparison, name)

    def on_event(name: RunName, event: Event) -> None:
        log(str(event.values[0]))

    def make(names: Sequence[RunName]) -> dict[RunName, Outcome]:
        if cluster is not None:
            from ibsd.commands.compare_cluster import on_cluster

            return on_cluster(comparison, names, cluster, log, stop_requested, time_left)
        if jobs == 1:
            return one_by_one(names, do_here, time_left)
        return in_processes(names, jobs, start, stop_requested, on_event, time_left)

    return make_all(names, make)


def do_in_worker(emit: Emit, task: Task, comparison: Comparison, name: RunName) -> Outcome:
    """The config and the digests of the images come from the parent, because their files may have
    changed."""
    return do_one(task, comparison, name, lambda sentence: emit("log", sentence), parent_is_gone)


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
            f"runs whose process was killed or crashed: {', '.join(names['crashed'])}; if memory "
            "ran out, lower --jobs, and run it again"
        )
    if names["wrong"]:
        raise InputError(f"runs that could not be made: {', '.join(names['wrong'])}; see above")
    if names["busy"]:
        log(f"other processes are making {len(names['busy'])} runs: {', '.join(names['busy'])}")
