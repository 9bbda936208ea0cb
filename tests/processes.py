"""`ibsd` as a real process that does not wait for torch: forked from a clean one that has loaded
it.

What starts, as `python -m ibsd` does, from nothing, costs seconds of the processor: tests of
starting, of memory and of missing packages do so; all others take `Command`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
LOADED = [
    *("torch._dynamo", "ibsd.cli.train", "ibsd.commands.train", "ibsd.commands.comparison_run"),
    "frozen",
]
"""What the server holds: the first optimiser imports `torch._dynamo`."""


class Command:
    """A command line in a process group of its own; the part of `subprocess.Popen` that tests use.

    Args:
        environment: what is added to, or replaces something in, that of this process.
        program: a module, run as by `python -m`, or the path of a script.
    """

    def __init__(
        self,
        *arguments: object,
        folder: Path | str = ".",
        environment: Mapping[str, str] = {},
        program: str | Path = "ibsd",
    ) -> None:
        self._streams = [
            tempfile.TemporaryFile("w+")  # noqa: SIM115
            for _ in range(2)
        ]
        self._texts: tuple[str, str] | None = None
        self._process = CONTEXT.Process(
            target=_run,
            args=(
                str(program),
                [str(argument) for argument in arguments],
                os.path.abspath(folder),
                {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
                [f"/proc/{os.getpid()}/fd/{stream.fileno()}" for stream in self._streams],
            ),
        )
        start_server()
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Negative for a signal that killed it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """The exit code. TimeoutExpired after `timeout` seconds, after killing it and all of its
        group."""
        self._process.join(timeout)
        ended = self.returncode is not None
        if not ended:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.join()
        self._texts = self.said()
        for stream in self._streams:
            stream.close()
        if not ended:
            raise subprocess.TimeoutExpired(self._process.name, timeout, *self._texts)
        return self.returncode

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """stdout and stderr, once it has ended."""
        self.wait(timeout)
        return self.said()

    def said(self) -> tuple[str, str]:
        """stdout and stderr, as far as they have come."""
        if self._texts is not None:
            return self._texts
        for stream in self._streams:
            stream.seek(0)
        return self._streams[0].read(), self._streams[1].read()


def start_server() -> None:
    """Starts the process that all are forked from, unless it is there. It looks for modules where
    this one does."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        CONTEXT.set_forkserver_preload(LOADED)
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def stop_server() -> None:
    """Ends and waits for it, so that its processor time counts for this process."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def _run(
    program: str,
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: list[str],
) -> None:
    import runpy

    import torch

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
