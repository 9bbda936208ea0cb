"""Calls one function for many items on threads, several at a time. The libraries that do the work
let threads run at once. `cluster.tasks` does the same on many machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import TypeVar

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


def on_threads(
    make: Callable[[_Item, Callable[[], bool]], _Value],
    items: Sequence[_Item],
    jobs: int,
    on_value: Callable[[int, _Value], None],
) -> None:
    """Calls `make(item, stopped)` for each item, `jobs` at a time. `on_value` takes an item's
    number and value in this thread, in the order in which the calls end.

    An error or Ctrl-C ends all: `stopped()` is then true, and calls that have begun are waited for.
    With one job the calls are made in this thread, where Ctrl-C ends them at once.
    """
    if jobs == 1:
        for number, item in enumerate(items):
            on_value(number, make(item, lambda: False))
        return
    stop = Event()
    pool = ThreadPoolExecutor(jobs)
    try:
        calls = {pool.submit(make, item, stop.is_set): k for k, item in enumerate(items)}
        for call in as_completed(calls):
            on_value(calls[call], call.result())
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
