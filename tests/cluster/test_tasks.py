"""Tasks: every item once, in whatever order they end. Ray is left out; what travels is pickled, as
Ray does."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from cluster.fakes import without_ray
from ibsd.cluster import Failed
from ibsd.cluster.tasks import on_cluster, values_on_cluster
from ibsd.types import InputError


def halved(number: int) -> float:
    if number % 2:
        raise InputError(f"{number} is odd")
    return number / 2


def quarter(number: int) -> float:
    return 4 / (number % 4)


def no_space(number: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "a.png")


def test_each_item_comes_back_once_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    most = without_ray(monkeypatch)
    values: dict[int, float | Failed] = {}
    on_cluster(halved, range(0, 40, 2), "local", values.__setitem__)
    assert values == {k: k for k in range(20)} and list(values) != sorted(values)
    assert most() == 4  # calls at once, for two cores


def test_what_a_task_raises_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    without_ray(monkeypatch)
    with pytest.raises(InputError, match="^3 is odd$"):
        on_cluster(halved, [2, 3], "local", lambda number, value: None)


def test_what_fails_otherwise_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    without_ray(monkeypatch, lambda item: item == 6)
    done: list[tuple[int, int]] = []
    values = values_on_cluster("local", quarter, [1, 2, 4, 6], lambda *both: done.append(both))
    assert values[:2] == [4.0, 2.0] and done == [(k, 4) for k in (1, 2, 3, 4)]
    defect, death = values[2:]
    assert isinstance(defect, Failed) and isinstance(death, Failed)
    assert "ZeroDivisionError" in defect.reason and "of test_tasks.py" in defect.reason
    assert death.reason.startswith("ended 3 processes (MemoryError: The worker died)")


def test_a_full_disk_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    without_ray(monkeypatch)
    with pytest.raises(InputError, match="free some space"):
        on_cluster(no_space, [1], "local", lambda number, value: None)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_ray(monkeypatch)
    monkeypatch.setattr("ibsd.cluster.worker.ibsd.__version__", "0.0.0")
    on_cluster(halved, [2], "local", lambda number, value: None)
    monkeypatch.setattr("ibsd.cluster.tasks.ibsd", type("older", (), {"__version__": "9"}))
    with pytest.raises(InputError, match=r"has ibsd 0\.0\.0, not 9 as here"):
        on_cluster(halved, [2], "local", lambda number, value: None)
