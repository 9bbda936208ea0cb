"""Calls one function for many items, each call a task of a Ray cluster. Upscaling uses workers
instead (`engine.py`)."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from itertools import islice
from typing import Any, TypeVar

import ibsd
from ibsd.cluster import Failed
from ibsd.cluster.engine import CALLS_AHEAD, MOST_TRIES, cause, connected, reason, signals_held
from ibsd.cluster.worker import check_version, said_of
from ibsd.system import is_disk_full
from ibsd.types import InputError

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


def on_cluster(
    function: Callable[[_Item], _Value],
    items: Iterable[_Item],
    address: str,
    on_value: Callable[[int, _Value | Failed], None],
) -> None:
    """Makes `function(item)` of each item on the cores of a cluster. `on_value` takes an item's
    number and value in this process, in the order in which they end. Relative names mean there what
    they mean here.

    A task whose machine or process dies is made again, three times in all. One that still dies, or
    raises another error than an InputError, fails alone.

    Errors: InputError that a call raises, or if the cluster is lost.
    """
    with connected(address):
        ray: Any = import_module("ray")
        task = ray.remote(num_cpus=1, max_retries=MOST_TRIES - 1)(_called)
        shared = ray.put((function, ibsd.__version__, os.getcwd()))
        waiting = enumerate(items)
        running: dict[Any, int] = {}
        with signals_held() as let_through:
            while True:
                let_through()
                room = CALLS_AHEAD * max(1, int(ray.cluster_resources().get("CPU", 0)))
                for number, item in islice(waiting, max(0, room - len(running))):
                    running[task.remote(shared, item)] = number
                if not running:
                    return
                for call in ray.wait(list(running), timeout=1.0)[0]:
                    on_value(running.pop(call), _value(ray, call))


def values_on_cluster(
    address: str,
    function: Callable[[_Item], _Value],
    items: Sequence[_Item],
    on_done: Callable[[int, int], None],
) -> list[_Value | Failed]:
    """`on_cluster`, with the values in the order of the items. `on_done` takes (done, total)."""
    values: dict[int, _Value | Failed] = {}

    def keep(number: int, value: _Value | Failed) -> None:
        values[number] = value
        on_done(len(values), len(items))

    on_cluster(function, items, address, keep)
    return [values[number] for number in range(len(items))]


def _value(ray: Any, call: Any) -> Any:
    try:
        return ray.get(call)
    except InputError as error:
        raise cause(error) from None
    except ray.exceptions.RayTaskError as error:  # a value that does not travel
        raise error.cause from None
    except (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.NodeDiedError,
    ) as error:
        return Failed(
            f"ended {MOST_TRIES} processes ({reason(error)}), as one does that needs more memory "
            "than there is"
        )


def _called(shared: tuple[Callable[[Any], Any], str, str], item: Any) -> Any:
    function, version, folder = shared
    check_version(version)
    if os.getcwd() != folder:
        try:
            os.chdir(folder)
        except OSError as error:
            raise InputError(
                f"{folder} cannot be entered on {platform.node()} ({error.strerror}): give the "
                "command in a folder that all machines share"
            ) from None
    try:
        return function(item)
    except InputError:
        raise
    except Exception as defect:
        if is_disk_full(defect):
            raise InputError(said_of(defect)) from None
        return Failed(said_of(defect))
