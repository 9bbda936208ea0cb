"""`ibsd compare`: makes the runs of a comparison that are missing, or examines those that there
are, in this process or in several, and writes down what all of them say."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import numpy as np

from ibsd.commands.examine import Examiner
from ibsd.commands.plan import Comparison
from ibsd.commands.report_runs import loaded, scenes, spread
from ibsd.comparison.design import RunName
from ibsd.comparison.identity import RunRequest
from ibsd.comparison.pool import (
    EXIT_CODES,
    Outcome,
    TimeLeft,
    in_processes,
    make_all,
    one_by_one,
    parent_is_gone,
    run_by_name,
)
from ibsd.comparison.results import Results
from ibsd.comparison.run import AVERAGED, WEIGHT_FILES, claimed, execute
from ibsd.comparison.store import RunRecord, Store
from ibsd.comparison.summary import summarise
from ibsd.config.comparison import CompareConfig, load_compare_config
from ibsd.data.presets import find_preset
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.evaluation.scores import LoadedPair
from ibsd.reporting.comparison import comparison_document, comparison_html
from ibsd.reporting.pictures import scenes_section
from ibsd.students import load_student
from ibsd.system import exhausted, make_folder, write_whole
from ibsd.types import InputError

MOST_ARMS = 4
"""Beside each other in pictures."""

Log = Callable[[str], None]
Task = Literal["make", "examine"]


def compare(
    path: str | Path,
    overrides: Sequence[str] = (),
    only: Sequence[str] = (),
    jobs: int = 1,
    table_only: bool = False,
    examine: bool = False,
    log: Log = lambda sentence: None,
    stop_requested: Callable[[], str | None] = lambda: None,
) -> Results:
    """Makes what is missing of a comparison, and writes results (JSON), page (Markdown) and plot
    (SVG) of all runs that there are.

    Args:
        path, overrides: as for `load_compare_config`.
        only: patterns of setting/arm/seed, such as "nikon-to-canon/ibsd/*"; runs matching any are
            made. Default: all.
        jobs: runs at a time, each on one thread; above 1 each in a process of its own.
        table_only: make no run and look at no picture but those to show, where they are: tables of
            the runs in the folder, whatever their NUMERICS.
        examine: make no run, but examine those there are whose weights are still in the work folder
            (`assembly_examine.py`).
        log: takes sentences for the user.
        stop_requested: asked after every step; a reason ends the runs after a checkpoint, and the
            tables are made of what there is.

    Errors: InputError for whatever is wrong with config or pictures, and if a run could not be
    made.
    """
    config = load_compare_config(path, overrides)
    if config.options.remarks and not Path(config.options.remarks).is_file():
        raise InputError(
            f"{config.path}: compare.remarks is {config.options.remarks}, and there is no such file; write it or leave it out"
        )
    comparison, store = Comparison(config), open_store(config)
    requests: dict[RunName, RunRequest] = {}
    outcomes: dict[RunName, Outcome] = {}
    if not table_only:
        requests = {name: comparison.request(name) for name in chosen(comparison.names, only)}
        task: Task = "examine" if examine else "make"
        to_do = (
            to_examine(comparison, store, requests, log)
            if examine
            else to_make(store, requests, log)
        )
        for folder in (config.options.folder, config.options.work):
            make_folder(Path(folder))
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
    found = {
        name: store.find(requests[name])
        if name in requests
        else store.find(comparison.request(name, with_data=False), any_numerics=True)
        for name in comparison.names
    }
    records = {name: record for name in comparison.names if (record := found[name]) is not None}
    examinations = {
        name: each
        for name, record in records.items()
        if (each := store.examinations.get(record.identity.key))
    }
    watch = comparison.config.options.examine.watch
    return summarise(comparison.design(), records, examinations, watch), records


def chosen(names: Sequence[RunName], only: Sequence[str]) -> list[RunName]:
    """The names that match any of the patterns; all for no pattern."""
    labels = {name: "/".join(map(str, name)) for name in names}
    for pattern in only:
        if not any(fnmatchcase(label, pattern) for label in labels.values()):
            raise InputError(
                f"--only {pattern} matches no run; runs are named setting/arm/seed, the first is {labels[names[0]]}"
            )
    return [
        name
        for name in names
        if not only or any(fnmatchcase(labels[name], pattern) for pattern in only)
    ]


def open_store(config: CompareConfig) -> Store:
    return Store(Path(config.options.folder))


def to_make(store: Store, requests: dict[RunName, RunRequest], log: Log) -> list[RunName]:
    """The runs that the store lacks."""
    missing = [name for name, each in requests.items() if store.find(each) is None]
    log(f"{len(requests)} runs: {len(requests) - len(missing)} are done, {len(missing)} to make")
    return missing


def to_examine(
    comparison: Comparison, store: Store, requests: dict[RunName, RunRequest], log: Log
) -> list[RunName]:
    """The finished runs of which there is no examination that asked the same."""
    finished = {
        name: record
        for name, each in requests.items()
        if (record := store.find(each)) and record.finished
    }
    asked = {
        name.setting: Examiner(comparison, name).asked
        for name in {name.setting: name for name in finished}.values()
    }
    found = {name: store.examinations.get(record.identity.key) for name, record in finished.items()}
    missing = [
        name for name, each in found.items() if each is None or each.asked != asked[name.setting]
    ]
    log(
        f"{len(finished)} finished runs: {len(finished) - len(missing)} are examined, {len(missing)} to examine"
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
    if jobs == 1:
        return make_all(
            names,
            lambda names: one_by_one(
                names, lambda name: do_one(task, comparison, name, log, stop_requested), time_left
            ),
        )
    context = multiprocessing.get_context("spawn")

    def start(name: RunName) -> BaseProcess:
        process = context.Process(
            target=run_by_name, args=(__name__, "work", task, comparison.config, name)
        )
        process.start()
        return process

    return make_all(
        names, lambda names: in_processes(names, jobs, start, stop_requested, time_left)
    )


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
    label, store = "/".join(map(str, name)), open_store(comparison.config)
    record = store.find(comparison.request(name))
    assert record is not None, f"{label} was there"
    with claimed(Path(comparison.config.options.work) / record.identity.training_key[:16]) as ours:
        if not ours:
            return "busy"
        examination = Examiner(comparison, name).examine(record)
        if examination is None:
            log(
                f"{label}: cannot be examined, its weights or its last checkpoint are not in {comparison.config.options.work}"
            )
        else:
            store.add_examination(record.identity, examination)
            log(f"{label}: examined")
    return "made"


def make_one(
    comparison: Comparison, name: RunName, log: Log, stop_requested: Callable[[], str | None]
) -> Outcome:
    """Makes one run and writes it down, unless another process is at it or has done it."""
    options, label = comparison.config.options, "/".join(map(str, name))
    request = comparison.request(name)
    folder = Path(options.work) / request.identity.training_key[:16]
    with claimed(folder) as ours:
        if not ours:
            return "busy"
        store = open_store(comparison.config)
        if store.find(request) is not None:
            return "made"
        run = comparison.run(name, request.identity)
        record = execute(run, folder, lambda sentence: log(f"{label}: {sentence}"), stop_requested)
        if record is None:
            return "stopped"
        store.add(record)
    shown = [
        test
        for test in comparison.design().settings[name.setting].whole_tests()
        if test in record.tests
    ]
    levels = [
        f"{test} {np.mean(record.tests[test].scores[AVERAGED][options.primary]):.3f}"
        for test in shown
    ]
    log(
        f"{label}: {record.outcome}; {options.primary}: {', '.join(levels)}"
        if levels
        else f"{label}: given up, {record.outcome}"
    )
    return "made"


def work(task: Task, config: CompareConfig, name: RunName) -> None:
    """A worker process: one run, its outcome as the exit code. The config comes from the parent, as
    its file may have changed meanwhile."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees to its workers
    try:
        comparison = Comparison(config)
        outcome = do_one(
            task, comparison, name, partial(print, file=sys.stderr, flush=True), parent_is_gone
        )
    except InputError as error:
        print(error, file=sys.stderr, flush=True)
        outcome = "wrong"
    except Exception as error:
        if sentence := exhausted(error):
            print(sentence, file=sys.stderr, flush=True)
            outcome = "wrong"
        else:
            traceback.print_exc()
            outcome = "broken"
    sys.exit(EXIT_CODES[outcome])


def raise_for(outcomes: dict[RunName, Outcome], log: Log) -> None:
    """Says what could not be made, the worst first."""
    names = {
        outcome: ["/".join(map(str, name)) for name, each in outcomes.items() if each == outcome]
        for outcome in ("broken", "crashed", "wrong", "busy")
    }
    if names["broken"]:
        raise RuntimeError(f"runs that broke: {', '.join(names['broken'])}; see above")
    if names["crashed"]:
        raise InputError(
            f"runs whose process was killed or crashed: {', '.join(names['crashed'])}; most often the memory does not suffice: give more, or fewer "
            "--jobs, and run it again, as what was made is kept"
        )
    if names["wrong"]:
        raise InputError(
            f"runs that could not be made: {', '.join(names['wrong'])}; the reason stands above"
        )
    if names["busy"]:
        log(
            f"{len(names['busy'])} runs are being made by other processes: {', '.join(names['busy'])}"
        )


def before_and_after(comparison: Comparison, records: Mapping[RunName, RunRecord]) -> str:
    """HTML of pictures of the first unseen test set by the baseline and the first treatments of one
    seed, as far as weights and pictures are still there. They are shown after everything is scored
    and choose nothing.
    """
    design = comparison.design()
    for setting, content in design.settings.items():
        test = next(
            (test for test, role in content.whole_tests().items() if role == "unseen"), None
        )
        arms = [
            design.baseline,
            *(
                arm
                for arm, each in design.arms.items()
                if each.role == "treatment" and arm != design.baseline
            ),
        ]
        names = [RunName(setting, arm, design.seeds[0]) for arm in arms]
        files = {
            name.arm: weights_of(comparison, records[name]) for name in names if name in records
        }
        shown = {arm: path for arm, path in files.items() if path.is_file()}
        if test is None or len(shown) < 2:
            continue
        try:
            pictures = shown_pictures(comparison, names[0], test)
        except InputError:  # moved or removed since
            continue
        students = {arm: load_student(path) for arm, path in list(shown.items())[:MOST_ARMS]}
        about = f"{content.title}: pictures of {test}, which no run has seen; the averaged weights of seed {design.seeds[0]}."
        return scenes_section(scenes(students, pictures), about=about)
    return ""


def shown_pictures(comparison: Comparison, name: RunName, test: str) -> list[LoadedPair]:
    """Some of a test set; of photographs each under a family of its own."""
    chosen, content = (
        spread(comparison.pairs(name)[1][test]),
        comparison.config.tests[name.setting][test],
    )
    if not content.families:
        return [loaded(pair) for pair in chosen]
    scale, families = (
        comparison.run_config(name).student.scale,
        spread(content.families, len(chosen)),
    )
    pictures = [
        degraded_pairs([pair.hr], find_preset(each), scale, content.crop_px)[0]
        for pair, each in zip(chosen, families, strict=False)
    ]
    return [
        (f"{title}, {each}", lr, hr)
        for (title, lr, hr), each in zip(pictures, families, strict=False)
    ]


def report_path(config: CompareConfig) -> Path:
    return Path(config.options.folder) / "report.html"


def weights_of(comparison: Comparison, record: RunRecord) -> Path:
    return (
        Path(comparison.config.options.work)
        / record.identity.training_key[:16]
        / WEIGHT_FILES[AVERAGED]
    )


def write_results(config: CompareConfig, results: Results, pictures: str = "") -> None:
    """`results.json` and `report.html` in the folder of runs, the page where the config wants it,
    and its plots beside it."""
    options = config.options
    folder = Path(options.folder)
    target = Path(options.page) if options.page else folder / "results.md"
    remarks = Path(options.remarks).read_text(encoding="utf-8") if options.remarks else ""
    for made in (folder, target.parent):
        made.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "results.json", results.to_json())
    document = comparison_document(results, remarks)
    for name, svg in document.plots(target.stem).items():
        write_whole(target.with_name(name), svg)
    write_whole(target, document.markdown(target.stem))
    write_whole(report_path(config), comparison_html(results, remarks, pictures))
