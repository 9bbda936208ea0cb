"""Many runs, several at a time, each in a process of its own.

A worker sends events through a pipe and ends with an exit code, its outcome. A worker that the
system kills sends nothing more, and its exit code says so. Two processes never make the same run:
see `system.claimed`.
"""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from ibsd.system import exhausted
from ibsd.types import InputError

Outcome = Literal["made", "busy", "stopped", "wrong", "broken", "crashed"]
"""`busy`: another process makes it. `stopped`: asked to. `wrong`: the user's input, or memory or
disk ran out. `broken`: our defect. `crashed`: its process ended without an outcome, as one does
that the system kills for its memory."""

EXIT_CODES: dict[Outcome, int] = {"made": 0, "wrong": 2, "busy": 3, "stopped": 4, "broken": 5}
"""None is 1, with which C libraries leave where an allocation fails."""
_OUTCOMES: dict[int, Outcome] = {code: outcome for outcome, code in EXIT_CODES.items()}
_POLL_SECONDS = 0.2

Name = TypeVar("Name", bound=Hashable)
Kind = Literal["log", "step", "validation", "result", "error"]


class Event(NamedTuple):
    """What a worker sends."""

    kind: Kind
    values: tuple[Any, ...]
    """`log`: a sentence. `step`: step and mean losses. `validation`: step and scores. `result`: the
    task's value. `error`: why the outcome is `wrong` (a sentence) or `broken` (a traceback)."""


class Emit(Protocol):
    """Sends an event from a worker."""

    def __call__(self, kind: Kind, *values: Any) -> None: ...


class Process(Protocol):
    """The part of a process that the pool needs."""

    @property
    def exitcode(self) -> int | None: ...

    def terminate(self) -> None: ...

    def join(self) -> None: ...


@dataclass(frozen=True)
class Worker:
    process: Process
    events: Connection | None = None
    """The end of the pipe that receives."""


def make_all(
    names: Sequence[Name], make: Callable[[Sequence[Name]], dict[Name, Outcome]]
) -> dict[Name, Outcome]:
    """Makes runs pass after pass. Each pass tries the busy ones again; a pass in which all are busy
    is the last."""
    outcomes: dict[Name, Outcome] = {}
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
    names: Sequence[Name],
    make: Callable[[Name], Outcome],
    on_end: Callable[[Name, Outcome], None] = lambda name, outcome: None,
) -> dict[Name, Outcome]:
    """In this process. Errors are raised."""
    outcomes: dict[Name, Outcome] = {}
    for name in names:
        outcomes[name] = make(name)
        on_end(name, outcomes[name])
        if outcomes[name] == "stopped":
            break
    for name in names:
        outcomes.setdefault(name, "stopped")
    return outcomes


def in_processes(
    names: Sequence[Name],
    jobs: int,
    start: Callable[[Name], Worker],
    stop_requested: Callable[[], str | None],
    on_event: Callable[[Name, Event], None] = lambda name, event: None,
    on_end: Callable[[Name, Outcome], None] = lambda name, outcome: None,
) -> dict[Name, Outcome]:
    """At most `jobs` workers at a time. One that fails stops no other; a reason to stop ends all of
    them, whose last checkpoints stay."""
    outcomes: dict[Name, Outcome] = {}
    waiting = list(names)
    running: dict[Name, Worker] = {}
    try:
        while (waiting or running) and not stop_requested():
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = start(name)
            pipes = [worker.events for worker in running.values()]
            wait([pipe for pipe in pipes if pipe is not None and not pipe.closed], _POLL_SECONDS)
            for name, worker in list(running.items()):
                code = worker.process.exitcode  # asked first: what was sent before it is received
                for event in received(worker):
                    on_event(name, event)
                if code is not None:
                    outcomes[name] = _OUTCOMES.get(code, "crashed")
                    del running[name]
                    on_end(name, outcomes[name])
    finally:
        for worker in running.values():
            worker.process.terminate()
            worker.process.join()
    for name in names:
        outcomes.setdefault(name, "stopped")
    return outcomes


def received(worker: Worker) -> Iterator[Event]:
    """Events that have arrived. A worker that died while it sent leaves a broken one behind."""
    pipe = worker.events
    with suppress(EOFError, OSError):
        while pipe is not None and not pipe.closed and pipe.poll():
            try:
                event = pipe.recv()
            except EOFError:
                pipe.close()
                return
            yield event


def start_worker(module: str, function: str, *arguments: Any) -> Worker:
    """A process that calls `module.function(emit, *arguments)`, which returns its `Outcome`.

    Ctrl-C does not reach it: its parent ends it. It is asked to stop by `parent_is_gone` alone.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    # Bytes, which `work` unpickles: what they need to import may already find no memory.
    call = pickle.dumps((module, function, arguments))
    process: BaseProcess = context.Process(target=work, args=(sender, call), daemon=True)
    # Inherited, and so also in force while the worker loads its modules.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    sender.close()
    return Worker(process, receiver)


def work(sender: Connection, call: bytes) -> None:
    """What a worker does: the pickled (module, function, arguments)."""

    def emit(kind: Kind, *values: Any) -> None:
        with suppress(OSError):  # nobody listens any more; `parent_is_gone` ends the run
            sender.send(Event(kind, values))

    try:
        module, function, arguments = pickle.loads(call)
        outcome: Outcome = getattr(importlib.import_module(module), function)(emit, *arguments)
    except InputError as error:
        emit("error", str(error))
        outcome = "wrong"
    except Exception as error:
        sentence = exhausted(error)
        emit("error", sentence or traceback.format_exc())
        outcome = "wrong" if sentence else "broken"
    sys.exit(EXIT_CODES[outcome])


def parent_is_gone() -> str | None:
    """For a worker's `stop_requested`: a reason once the process that started it has ended."""
    parent = multiprocessing.parent_process()
    return (
        "the process that started this run has ended"
        if parent is not None and not parent.is_alive()
        else None
    )


class TimeLeft:
    """For `on_end`: says after every run but the last how many are made, and how long the others
    take at this rate."""

    def __init__(self, total: int, log: Callable[[str], None]) -> None:
        self.total = total
        self.log = log
        self.made = 0
        self.started = time.monotonic()

    def __call__(self, name: Hashable, outcome: Outcome) -> None:
        self.made += outcome == "made"
        if outcome == "made" and self.made < self.total:
            minutes = (time.monotonic() - self.started) / self.made * (self.total - self.made) / 60
            self.log(f"{self.made} of {self.total} done, {minutes:,.0f} min left at this rate")
