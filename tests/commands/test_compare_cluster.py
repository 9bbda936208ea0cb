"""Runs that Ray makes elsewhere; Ray is left out here."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

if find_spec("ray") is None:  # which takes long to import
    pytest.skip("pip install 'ibsd[cluster]' brings what is tested here", allow_module_level=True)
pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")

from ibsd.commands import compare_cluster
from ibsd.commands.compare_cluster import Made, _Task
from ibsd.types import InputError


def ended(
    outcome: Made | Exception | None,
) -> tuple[int | None, list[Any], list[str]]:
    """Exit code of a task that came to this, what was kept, and what was said."""

    def get(call: object) -> Made:
        if isinstance(outcome, Exception):
            raise outcome
        assert outcome is not None
        return outcome

    made: list[Any] = []
    said: list[str] = []
    task = _Task("call", made.append, said.append)
    task.ray = SimpleNamespace(
        wait=lambda calls, timeout: (calls if outcome else [], []),
        get=get,
        exceptions=import_module("ray.exceptions"),
    )
    return task.exitcode, made, said


def test_how_a_run_ends_there_is_how_its_process_ends_here() -> None:
    whole = Made("made", [], ["one/plain/0: finished"])
    assert ended(whole) == (0, [whole], [])
    assert ended(None) == (None, [], [])
    stopped = Made("busy", [], [])
    assert ended(stopped) == (3, [stopped], [])
    assert ended(InputError("no pairs")) == (2, [], ["no pairs"])
    exceptions = import_module("ray.exceptions")
    assert ended(exceptions.WorkerCrashedError())[0] == 1
    ours = exceptions.RayTaskError("make_there", "Traceback: ZeroDivisionError", ValueError())
    code, _, said = ended(ours)
    assert code == 5 and "ZeroDivisionError" in said[0]


def test_a_row_comes_back_and_is_not_stored_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_one(comparison: Any, name: Any, log: Any, stop: Any, keep: Any) -> str:
        log(f"{name} in {Path.cwd().name}")
        keep("row")
        return "made"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare_cluster, "make_one", make_one)
    (tmp_path / "there").mkdir()
    made = compare_cluster.make_there(None, "one", str(tmp_path / "there"))  # type: ignore[arg-type]
    assert made == Made("made", ["row"], ["one in there"])  # type: ignore[list-item]
