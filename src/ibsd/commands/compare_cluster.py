"""`ibsd compare --cluster`: runs as tasks of a Ray cluster. Each task returns its row. Only this
process writes the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ibsd.cluster.engine import cause, connected, takes_gpu
from ibsd.commands.comparison_run import Log, make_one, open_store
from ibsd.commands.plan import Comparison
from ibsd.comparison.design import RunName
from ibsd.comparison.pool import EXIT_CODES, Outcome, Worker, in_processes
from ibsd.comparison.store import RunRecord
from ibsd.types import InputError

MOST_RETRIES = 2
"""Times that a run is made again if its machine or process dies."""


class Made(NamedTuple):
    """What comes back."""

    outcome: Outcome
    records: list[RunRecord]
    """One, or none if it was stopped, or is in the store already."""
    sentences: list[str]


def make_there(comparison: Comparison, name: RunName, folder: str) -> Made:
    """One run, in a process of the cluster. `folder`: where the command was given."""
    os.chdir(folder)
    made, said = list[RunRecord](), list[str]()
    outcome = make_one(comparison, name, said.append, lambda: None, made.append)
    return Made(outcome, made, said)


class _Task:
    """A task of the cluster as the pool's process."""

    def __init__(self, call: Any, on_made: Callable[[Made], None], log: Log) -> None:
        self.ray: Any = import_module("ray")
        self.call = call
        self.on_made = on_made
        self.log = log

    @property
    def exitcode(self) -> int | None:
        if not self.ray.wait([self.call], timeout=0)[0]:
            return None
        try:
            made: Made = self.ray.get(self.call)
        except InputError as error:
            self.log(str(cause(error)))
            return EXIT_CODES["wrong"]
        except self.ray.exceptions.RayTaskError as error:
            self.log(str(error))
            return EXIT_CODES["broken"]
        except self.ray.exceptions.RayError:
            return 1  # its machine or its process died too often
        self.on_made(made)
        return EXIT_CODES[made.outcome]

    def terminate(self) -> None:
        self.ray.cancel(self.call, force=True)

    def join(self) -> None:
        self.ray.wait([self.call], timeout=10)


def on_cluster(
    comparison: Comparison,
    names: Sequence[RunName],
    address: str,
    log: Log,
    stop_requested: Callable[[], str | None],
    on_end: Callable[[RunName, Outcome], None],
) -> dict[RunName, Outcome]:
    """`pool.in_processes` with all runs at once: Ray starts those for which there is room."""
    store = open_store(comparison.config)

    def on_made(made: Made) -> None:
        for record in made.records:
            store.add(record)
        for sentence in made.sentences:
            log(sentence)

    def start(name: RunName) -> Worker:
        run = comparison.run_config(name).run
        remote = import_module("ray").remote(
            num_cpus=run.threads or 1,
            num_gpus=int(takes_gpu(run.device)),
            max_retries=MOST_RETRIES,
            max_calls=1,  # a process a run, as on one machine
        )
        call = remote(make_there).remote(comparison, name, str(Path.cwd()))
        return Worker(_Task(call, on_made, log))

    with connected(address):
        return in_processes(names, len(names), start, stop_requested, on_end=on_end)
