"""Laws of progress where no terminal is: few lines, and rates that do not count what an earlier
session did."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ibsd.cli import progress
from ibsd.cli.progress import TrainingProgress, clock


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 75, 3700)] == ["0:00", "1:15", "1:01:40"]


def lines(runs: dict[str, int], first: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with TrainingProgress(runs, Console(file=stream, width=200)) as shown:
        for step in range(first, 101):
            shown.on_step("a", step, {"l1": 0.5} if step > first else {})
            now[0] += 1
            if step == 60:
                shown.on_validation("a", 60, {"psnr_y": 30.0})
    return stream.getvalue().splitlines()


def test_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    written = lines({"a": 100}, 1, monkeypatch)
    assert written[0] == "step 16 of 100  1.00 steps/s  1:24 left  l1 0.5000"
    assert "step 60: val 30.00 dB" in written
    assert written[-1] == "step 100 of 100  1.00 steps/s  0:00 left  l1 0.5000  val 30.00 dB"
    assert len(written) == 8


def test_a_resumed_run_is_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(
        "1.00 steps/s" in line for line in lines({"a": 100}, 51, monkeypatch) if "left" in line
    )


def test_several_runs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(line.startswith("a: ") for line in lines({"a": 100, "b": 100}, 1, monkeypatch))
