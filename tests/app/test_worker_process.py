import asyncio
import errno
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import NoReturn

import pytest

from app.pages import run_apart
from ibsd.app.worker import VERBS, answer
from ibsd.app.worker_process import WorkerProcess


def test_what_a_worker_started_ends_with_it() -> None:
    async def kill() -> None:
        worker = WorkerProcess(idle_seconds=60)
        worker.process = await asyncio.create_subprocess_exec(
            "sh", "-c", "sleep 60 & echo; wait", stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        assert worker.process.stdout
        await worker.process.stdout.readline()
        await asyncio.wait_for(worker.kill(), 10)

    run_apart(kill())


def test_an_idle_worker_is_out_of_reach_before_it_ends() -> None:
    async def idle() -> None:
        worker = WorkerProcess(idle_seconds=0)
        worker.process = await asyncio.create_subprocess_exec(
            "sleep", "60", stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        worker._stop_when_idle()  # pyright: ignore[reportPrivateUsage]
        while worker.killing is None:
            await asyncio.sleep(0)
        assert worker.process is None
        await asyncio.wait_for(worker.killing, 10)

    run_apart(idle())


def test_weights_are_described_without_making_a_model_of_them(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ibsd.commands.fast_weights.fast_weights", None)
    request = {"verb": "describe", "weights": str(weights / "tiny-x3.safetensors")}
    assert answer(request, print) == {"done": {"network": "imdn", "scale": 3}}


def test_a_full_disk_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(request: object, reply: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(VERBS, "read", full)
    assert "no space left" in answer({"verb": "read"}, print)["error"]
