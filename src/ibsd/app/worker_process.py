"""The server's side of a worker: a process that is started when there is work, and killed rather
than waited for."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ibsd
from ibsd.types import InputError

Message = dict[str, Any]
"""JSON, as `ibsd.app.worker` describes it."""


class WorkerProcess:
    """Handles one request at a time, first come first served. Cancelling a request at work kills
    the process; the next request starts another one."""

    def __init__(self, idle_seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self.process: Process | None = None
        self.turn = asyncio.Lock()
        self.num_requests = 0
        self.idle_timer: asyncio.TimerHandle | None = None
        self.killing: asyncio.Task[None] | None = None

    async def request(
        self,
        request: Message,
        seconds: float,
        on_start: Callable[[], None] = lambda: None,
        on_progress: Callable[[Message], None] = lambda message: None,
    ) -> Message:
        """The worker's result. InputError with the worker's error, if it takes longer than
        `seconds`, and if the process ends."""
        self.num_requests += 1
        try:
            async with self.turn:
                on_start()
                try:
                    async with asyncio.timeout(seconds):
                        return await self._exchange(request, on_progress)
                except TimeoutError:
                    raise InputError(
                        f"it took longer than {seconds:g} seconds, which is this server's limit: "
                        "make it smaller"
                    ) from None
        finally:
            self.num_requests -= 1
            self._stop_when_idle()

    async def _exchange(self, request: Message, on_progress: Callable[[Message], None]) -> Message:
        completed = False
        try:
            process = await self._started()
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            while line := await process.stdout.readline():
                message: Message = json.loads(line)
                completed = "error" in message or "done" in message
                if "error" in message:
                    raise InputError(message["error"])
                if "done" in message:
                    return message["done"]
                on_progress(message)
            raise EOFError
        except (EOFError, OSError) as error:
            raise InputError(
                f"the process at work on it ended{await self._exit_signal()}: "
                "the photograph may need more memory than there is, make it smaller"
            ) from error
        finally:
            if not completed:  # cancelled, out of time or broken
                await self.kill()

    async def _started(self) -> Process:
        if self.process is None or self.process.returncode is not None:
            package = os.fspath(Path(ibsd.__file__).parents[1])
            path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ibsd.app.worker",
                stdin=PIPE,
                stdout=PIPE,
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,
            )
        return self.process

    async def _exit_signal(self) -> str:
        """ " (SIGKILL)" if a signal ended the process, else ""."""
        if self.process is None:
            return ""
        code = await self.process.wait()
        return f" ({signal.Signals(-code).name})" if code < 0 else ""

    async def kill(self) -> None:
        """End the process at once, if there is one, with all that it has started: a process that
        holds its pipes would be waited for."""
        process, self.process = self.process, None
        if process is not None:
            await _end(process)

    def _stop_when_idle(self) -> None:
        if self.idle_timer:
            self.idle_timer.cancel()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not self.num_requests and self.process:
                # At once, so that no request gets a process that is about to end.
                process, self.process = self.process, None
                self.killing = loop.create_task(_end(process))

        self.idle_timer = loop.call_later(self.idle_seconds, stop)


async def _end(process: Process) -> None:
    """Kills a process with all that it has started, and waits for it."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):  # not on Windows
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    await process.wait()
    # asyncio closes the pipes only when they have been read to the end.
    process._transport.close()  # pyright: ignore
