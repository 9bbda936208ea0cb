"""Many runs, several at a time, each in a process of its own, without two processes ever making the
same run."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Literal

from ibsd.comparison.design import RunName
from ibsd.system import exhausted

Outcome = Literal["made", "busy", "stopped", "wrong", "broken", "crashed"]
"""`busy`: another process makes it; `stopped`: asked to; `wrong`: the user's input, or what ran
out; `broken`: our defect; `crashed`: its process ended without a word, as one does that the system
kills for its memory."""

EXIT_CODES: dict[Outcome, int] = {"made": 0, "wrong": 2, "busy": 3, "stopped": 4, "broken": 5}
"""None is 1, with which C libraries leave where an allocation fails."""
_OUTCOMES: dict[int, Outcome] = {code: outcome for outcome, code in EXIT_CODES.items()}
_POLL_SECONDS = 0.2


def make_all(
    names: Sequence[RunName], make: Callable[[Sequence[RunName]], dict[RunName, Outcome]]
) -> dict[RunName, Outcome]:
    """Makes runs pass after pass: what was busy is tried again as long as anything else got done
    meanwhile."""
    outcomes: dict[RunName, Outcome] = {}
    waiting = list(names)
    while waiting:
        done = make(waiting)
        outcomes |= done
        busy = [name for name in waiting if done[name] == "busy"]
        if "stopped" in done.values() or len(busy) == len(waiting):
            break
        waiting = busy
    return outcomes


def one_by_one(
    names: Sequence[RunName],
    make: Callable[[RunName], Outcome],
    on_end: Callable[[Outcome], None] = lambda _: None,
) -> dict[RunName, Outcome]:
    """In this process. Errors are raised."""
    outcomes: dict[RunName, Outcome] = {}
    for name in names:
        outcomes[name] = make(name)
        on_end(outcomes[name])
        if outcomes[name] == "stopped":
            break
    for name in names:
        outcomes.setdefault(name, "stopped")
    return outcomes


def in_processes(
    names: Sequence[RunName],
    jobs: int,
    start: Callable[[RunName], BaseProcess],
    stop_requested: Callable[[], str | None],
    on_end: Callable[[Outcome], None] = lambda _: None,
) -> dict[RunName, Outcome]:
    """At most `jobs` processes at a time, each ending with one of `EXIT_CODES` or else `crashed`.
    One failure stops no other run."""
    outcomes: dict[RunName, Outcome] = {}
    waiting = list(names)
    running: dict[RunName, BaseProcess] = {}
    try:
        while (waiting or running) and not stop_requested():
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = start(name)
            time.sleep(_POLL_SECONDS)
            for name, process in list(running.items()):
                if process.exitcode is not None:
                    outcomes[name] = _OUTCOMES.get(process.exitcode, "crashed")
                    del running[name]
                    on_end(outcomes[name])
    finally:  # interrupted: each worker's last checkpoint stays
        for process in running.values():
            process.terminate()
            process.join()
    for name in names:
        outcomes.setdefault(name, "stopped")
    return outcomes


class TimeLeft:
    """For `on_end`: says after every run but the last how many are made, and how long the others
    take at this rate."""

    def __init__(self, total: int, log: Callable[[str], None]) -> None:
        self.total, self.log, self.made, self.started = total, log, 0, time.monotonic()

    def __call__(self, outcome: Outcome) -> None:
        self.made += outcome == "made"
        if outcome == "made" and self.made < self.total:
            minutes = (time.monotonic() - self.started) / self.made * (self.total - self.made) / 60
            self.log(f"{self.made} of {self.total} done, {minutes:,.0f} min left at this rate")


def run_by_name(module: str, function: str, *arguments: object) -> None:
    """Calls `module.function(*arguments)` in a worker process, where already loading the module may
    find no memory: then it is said in a sentence."""
    try:
        work = getattr(importlib.import_module(module), function)
    except Exception as error:
        if sentence := exhausted(error):
            print(sentence, file=sys.stderr, flush=True)
            sys.exit(EXIT_CODES["wrong"])
        raise
    work(*arguments)


def parent_is_gone() -> str | None:
    """For a worker's `stop_requested`: a reason once the process that started it is no longer
    there."""
    parent = multiprocessing.parent_process()
    return (
        "the process that started this run has ended"
        if parent is not None and not parent.is_alive()
        else None
    )
