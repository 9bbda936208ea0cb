"""Memory that this process holds."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def resident_bytes() -> int:
    """Of this process now; where /proc is missing, the largest so far."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:
        return largest_resident_bytes()


def largest_resident_bytes() -> int:
    """The most that this process held at once, since it started or since Linux was asked to count anew (`comparison.machine`)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        # Linux hands ru_maxrss on from the process that started this one; VmHWM begins anew.
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
