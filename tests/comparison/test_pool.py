"""Many runs at a time: claims hold, busy runs are tried again, and one failure stops no other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ibsd.commands.comparison_run import now_and_then
from ibsd.comparison.design import RunName
from ibsd.comparison.pool import (
    Event,
    Outcome,
    TimeLeft,
    Worker,
    in_processes,
    make_all,
    one_by_one,
    start_worker,
)

NAMES = [RunName("north", "plain", seed) for seed in range(4)]


def test_busy_runs_are_tried_again_while_others_get_done() -> None:
    passes: list[Sequence[RunName]] = []

    def make(names: Sequence[RunName]) -> dict[RunName, Outcome]:
        passes.append(list(names))
        return {name: "busy" if name.seed > len(passes) else "made" for name in names}

    assert set(make_all(NAMES, make).values()) == {"made"}
    assert [len(names) for names in passes] == [4, 2, 1]
    assert set(make_all(NAMES, lambda names: dict.fromkeys(names, "busy")).values()) == {"busy"}


def test_after_a_stop_nothing_is_started() -> None:
    started: list[RunName] = []

    def make(name: RunName) -> Outcome:
        started.append(name)
        return "stopped" if name.seed == 1 else "made"

    outcomes = make_all(NAMES, lambda names: one_by_one(names, make))
    assert list(outcomes.values()) == ["made", "stopped", "stopped", "stopped"]
    assert started == NAMES[:2]


class FakeProcess:
    """Ends at once with a code."""

    def __init__(self, exitcode: int) -> None:
        self.exitcode = exitcode

    def terminate(self) -> None: ...

    def join(self) -> None: ...


def fake(exitcode: int) -> Worker:
    return Worker(FakeProcess(exitcode))


@pytest.mark.slow
def test_exit_codes_tell_what_became_of_a_run() -> None:
    codes = {0: 0, 1: 2, 2: -9, 3: 3}
    outcomes = in_processes(NAMES, 2, lambda name: fake(codes[name.seed]), lambda: None)
    assert [outcomes[name] for name in NAMES] == ["made", "wrong", "crashed", "busy"]


def test_a_request_to_stop_ends_workers() -> None:
    outcomes = in_processes(NAMES, 2, lambda name: fake(0), lambda: "enough")
    assert set(outcomes.values()) == {"stopped"}


@pytest.mark.slow
def test_workers_send_events_and_end_with_an_outcome() -> None:
    endings = ("made", "wrong", "memory", "broken", "killed", "interrupted")
    events: dict[str, list[Event]] = {ending: [] for ending in endings}
    outcomes = in_processes(
        endings,
        2,
        lambda ending: start_worker("comparison.endings", "task", ending),
        lambda: None,
        lambda ending, event: events[ending].append(event),
    )
    assert outcomes == {
        "made": "made",
        "wrong": "wrong",
        "memory": "wrong",
        "broken": "broken",
        "killed": "crashed",
        "interrupted": "made",
    }
    assert all(sent[0] == Event("log", ("started",)) for sent in events.values())
    assert events["made"][1:] == [Event("result", (list(range(50_000)),))]
    assert events["wrong"][1:] == [Event("error", ("no such file",))]
    assert "memory" in events["memory"][1].values[0]
    assert "KeyError: 'a defect'" in events["broken"][1].values[0]
    assert events["killed"][1:] == []


def test_what_is_left_is_said_after_every_run_that_was_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, said = [0.0], []
    monkeypatch.setattr("ibsd.comparison.pool.time.monotonic", lambda: now[0])
    time_left = TimeLeft(4, said.append)

    def make(name: RunName) -> Outcome:
        now[0] += 600
        return "busy" if name.seed == 1 else "made"

    one_by_one(NAMES, make, time_left)
    assert said == [
        "1 of 4 done, 30 min left at this rate",
        "2 of 4 done, 30 min left at this rate",
        "3 of 4 done, 13 min left at this rate",
    ]


def test_a_long_run_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [0.0], []
    monkeypatch.setattr("ibsd.commands.comparison_run.time.monotonic", lambda: now[0])
    on_step = now_and_then(said.append, 2000)
    for step in range(1, 2001):
        now[0] += 0.125
        on_step(step, {})
    assert said == [f"step {step:,} of 2,000" for step in (480, 960, 1440, 1920)]
