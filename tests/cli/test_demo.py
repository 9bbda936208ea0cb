"""The demo, cut to a few steps: what it writes, what it removes, what it says."""

from __future__ import annotations

import json
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

import processes
from ibsd.commands.demo import MARKER, OWN, DemoResult, claim, credit, run_demo
from ibsd.data.samples import SPLITS

from .conftest import Call


def forked(method: str) -> BaseContext:
    processes.start_server()
    return processes.CONTEXT


def test_an_earlier_demo_goes_and_what_lies_beside_it_stays(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    claim(folder, force=False)
    (folder / "pairs").mkdir()
    (folder / "pairs" / "old.png").touch()
    (folder / "notes.txt").write_text("mine")
    claim(folder, force=True)
    assert {path.name for path in folder.iterdir()} == {MARKER, "notes.txt"}


def test_the_photograph_has_its_credit() -> None:
    assert credit("brushes").startswith(
        'Photograph: Picture 1A, 2018, by Trevor "Freespace", CC BY 4.0'
    )
    assert credit("astronaut").startswith(
        "Photograph: Astronaut Eileen Collins, official portrait, by NASA, public domain"
    )


@pytest.mark.slow
def test_demo(ibsd: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    # Workers that need not load torch: tests/comparison/test_pool.py has those that must.
    monkeypatch.setattr("ibsd.comparison.pool.multiprocessing.get_context", forked)
    monkeypatch.setattr("ibsd.commands.demo.VARIANTS", 1)
    for split, names in list(SPLITS.items()):
        monkeypatch.setitem(SPLITS, split, names[:1])
    made: list[DemoResult] = []
    monkeypatch.setattr(
        "ibsd.commands.demo.run_demo", lambda *given: made.append(run_demo(*given)) or made[0]
    )
    said = ibsd("demo", "--steps", "2", "-o", "demo")
    assert said.code == 0, said.err
    assert "one seed: no conclusion" in said.out
    assert all(word in said.out for word in ("bicubic", "plain", "IBSD", "LPIPS"))
    folder = Path("demo")
    assert {path.name for path in folder.iterdir()} == set(OWN)
    assert list(json.loads((folder / "scores.json").read_text())["means"]) == [
        "bicubic",
        "plain",
        "IBSD",
    ]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "One seed: no conclusion" in page
    assert "by NASA" in page
    monkeypatch.setattr("ibsd.commands.demo.run_demo", lambda *given: made[0])
    result = json.loads(ibsd("demo", "--json").out)
    assert (result["report"], list(result["means"])) == (
        "demo/report.html",
        ["bicubic", "plain", "IBSD"],
    )
