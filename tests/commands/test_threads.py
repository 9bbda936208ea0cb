"""Several at a time: every value once, and an end that reaches all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ibsd.commands.threads import on_threads


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_every_value_comes_with_its_number(jobs: int) -> None:
    values: dict[int, int] = {}
    on_threads(lambda item, stopped: item**2, [3, 1, 2], jobs, values.__setitem__)
    assert values == {0: 9, 1: 1, 2: 4}


def test_two_run_at_once_and_one_runs_here() -> None:
    both = threading.Barrier(2)
    on_threads(lambda item, stopped: both.wait(timeout=20), [0, 1], 2, lambda *_: None)
    seen: list[threading.Thread] = []
    on_threads(lambda item, stopped: seen.append(threading.current_thread()), [0], 1, print)
    assert seen == [threading.current_thread()]


def test_ctrl_c_stops_what_runs_and_starts_nothing_more() -> None:
    begun: list[int] = []

    def make(item: int, stopped: Callable[[], bool]) -> int:
        begun.append(item)
        while item and not stopped():
            time.sleep(0.001)
        return item

    def interrupted(number: int, value: int) -> None:
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        on_threads(make, range(50), 2, interrupted)
    assert 0 in begun and len(begun) < 5
    assert set(threading.enumerate()) <= before
