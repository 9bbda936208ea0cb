"""The server's end of a worker process: started when there is something to do, killed rather than
waited for."""

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

Answer = dict[str, Any]


class Worker:
    """Does one request at a time, first come first served. Whoever asks and is cancelled takes the
    process with it."""

    def __init__(self, idle_seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self.process: Process | None = None
        self.turn = asyncio.Lock()
        self.waiting = 0
        self.timer: asyncio.TimerHandle | None = None
        self.killing: asyncio.Task[None] | None = None

    async def ask(
        self,
        request: Answer,
        seconds: float,
        on_start: Callable[[], None] = lambda: None,
        on_answer: Callable[[Answer], None] = lambda _: None,
    ) -> Answer:
        """What the worker's verb gives. InputError as the worker says, where it takes too long, and
        where its process ends."""
        self.waiting += 1
        try:
            async with self.turn:
                on_start()
                try:
                    async with asyncio.timeout(seconds):
                        return await self._ask(request, on_answer)
                except TimeoutError:
                    raise InputError(
                        f"it took longer than {seconds:g} seconds, which is this server's limit: make it smaller"
                    ) from None
        finally:
            self.waiting -= 1
            self._stop_when_idle()

    async def _ask(self, request: Answer, on_answer: Callable[[Answer], None]) -> Answer:
        answered = False
        try:
            process = await self._started()
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
            while line := await process.stdout.readline():
                answer = json.loads(line)
                if "error" in answer or "done" in answer:
                    answered = True
                    if "error" in answer:
                        raise InputError(answer["error"])
                    return answer["done"]
                on_answer(answer)
            raise EOFError
        except (EOFError, OSError) as error:
            raise InputError(
                f"the process at work on it ended{await self._how_it_ended()}: the photograph may need more memory than there is, make it smaller"
            ) from error
        finally:
            if (
                not answered
            ):  # cancelled, out of time or broken: whatever it was at, nobody waits for
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

    async def _how_it_ended(self) -> str:
        if self.process is None:
            return ""
        code = await self.process.wait()
        return f" ({signal.Signals(-code).name})" if code < 0 else ""

    async def kill(self) -> None:
        """Ends the process at once, if there is one."""
        process, self.process = self.process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            process._transport.close()  # type: ignore[attr-defined]  # the pipes; asyncio closes them only when they are read to the end

    def _stop_when_idle(self) -> None:
        if self.timer:
            self.timer.cancel()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not self.waiting and self.process:
                self.killing = loop.create_task(self.kill())

        self.timer = loop.call_later(self.idle_seconds, stop)
