"""What workers of test_pool.py do. In a file of its own, for a worker imports it, and torch with
all that imports torch."""

from __future__ import annotations

import os
import signal

from ibsd.comparison.pool import Emit, Outcome
from ibsd.types import InputError


def task(emit: Emit, ending: str) -> Outcome:
    """Starts, and ends as it is told."""
    emit("log", "started")
    if ending == "wrong":
        raise InputError("no such file")
    if ending == "memory":
        raise MemoryError
    if ending == "broken":
        raise KeyError("a defect")
    if ending == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "interrupted":  # Ctrl-C reaches the whole process group
        os.kill(os.getpid(), signal.SIGINT)
    emit("result", list(range(50_000)))  # more than a pipe holds
    return "made"
