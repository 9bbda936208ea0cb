"""Under a limit on memory (`ulimit -v`) a child process does the work.

If an allocation fails, C libraries (glib in libvips, OpenBLAS, OpenVINO) abort, exit or crash. The
parent process then prints the sentence.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG = 1
CLOSE_BYTES = 64 * 2**20
"""What allocators ask of the system at a time."""


def memory_is_limited() -> bool:
    """Whether a limit is set on this process's address space."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def memory_is_used_up() -> bool:
    """Whether this process is close to its limit. Any error may then be a failed allocation."""
    if not memory_is_limited():
        return False
    import resource

    try:
        peak = re.search(r"VmPeak:\s*(\d+) kB", Path("/proc/self/status").read_text())
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return peak is not None and 1024 * int(peak[1]) > limit - CLOSE_BYTES
    except MemoryError:
        return True
    except OSError:  # without /proc
        return False


def in_child(work: Callable[[], int]) -> int | None:
    """Forks: the child does the work, the parent waits for it. Both return the exit code; the
    parent returns None if the child left none.

    The child has a process group of its own, so that Ctrl-C reaches it once, through the parent. It
    ends when the parent ends.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)
        with suppress(OSError, AttributeError):  # Linux has it
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        code = work()
        os.write(writing, bytes([code]))
        return code

    def hand_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hand_on)
    os.close(writing)
    os.waitpid(child, 0)
    said = os.read(reading, 1)
    return said[0] if said else None
