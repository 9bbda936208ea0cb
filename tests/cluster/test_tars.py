"""Tars: each result once, in a whole tar that the manifest names, wherever a run is killed."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")

from ibsd.cluster import tars
from ibsd.cluster.arrow import pa
from ibsd.cluster.manifest import Row, opened
from ibsd.cluster.tars import Tars

NAMES = ("a.png", "sub/b.png", "c.png", "d.png", "bad.png")


class Killed(BaseException):
    """From here on nothing reaches the disk."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The call of that number that changes names of files is the first that does nothing."""
    calls = 0

    def killed(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= step:
                raise Killed
            return change(*arguments, **options)

        return changed

    for name in ("replace", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, killed(getattr(os, name)))


def one_run(output: Path, made: list[str]) -> None:
    """What `ibsd upscale` does with tars. Adds what it makes to `made`."""
    targets = [f"{output}/{name}" for name in NAMES]
    with opened(str(output), {}) as manifest:
        packed = Tars(str(output), manifest)
        jobs = pa.table({"source": targets, "target": pa.array(targets, pa.large_string())})
        for target in manifest.unsettled(jobs)["target"].to_pylist():
            row = Row("from", target, "done", None, None, 1.0, 1, "node", "0")
            if target.endswith("bad.png"):
                manifest.add(row._replace(state="failed"))
                continue
            loose = Path(packed.loose(target))
            assert packed.target(str(loose)) == target
            if not loose.exists():
                loose.parent.mkdir(parents=True, exist_ok=True)
                loose.write_bytes(target.encode())
                made.append(target)
            packed.add(row)
        packed.finish()


def check(output: Path) -> set[str]:
    """Every tar is whole, and holds what the manifest says. Returns the names in tars."""
    with opened(str(output), {}) as manifest:
        rows = [row for row in manifest.read().to_pylist() if row["state"] == "done"]
    for row in rows:
        with tarfile.open(output / row["shard"]) as tar:
            member = tar.extractfile(row["target"][len(str(output)) + 1 :])
            assert member is not None and member.read() == row["target"].encode()
    targets = [row["target"] for row in rows]
    assert len(set(targets)) == len(targets)
    return set(targets)


@pytest.mark.slow
def test_wherever_it_is_killed_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "BYTES", 1 + len(f"{tmp_path}/00/a.png"))  # two in a tar
    for step in range(1, 100):
        output = tmp_path / f"{step:02}"
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            made, whole = list[str](), True
            try:
                one_run(output, made)
            except Killed:
                whole = False
        check(output)
        one_run(output, made)
        assert sorted(made) == sorted(f"{output}/{name}" for name in NAMES[:4])  # none twice
        assert check(output) == {*made}
        shards = sorted(path.name for path in output.iterdir() if "shard" in path.name)
        assert shards == ["shard-000000.tar", "shard-000001.tar"]
        names: list[str] = []
        for shard in shards:
            with tarfile.open(output / shard) as tar:
                names += tar.getnames()
        assert sorted(names) == sorted(NAMES[:4])  # none twice
        assert not (output / ".manifest" / "loose").exists()
        if whole:
            assert step > 10
            return
    pytest.fail("no run is whole")
