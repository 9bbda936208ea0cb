import asyncio
from asyncio.subprocess import PIPE
from concurrent.futures import ThreadPoolExecutor

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

    with ThreadPoolExecutor(1) as own_thread:  # a browser's test may leave its loop in this one
        own_thread.submit(asyncio.run, kill()).result()
