"""Memory and latency of a weight file or exported model, by running it as `ibsd upscale` would. Counting is in `evaluation/efficiency.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TILE_PX = 256


@dataclass(frozen=True)
class Measurement:
    """What one run in a fresh process came to."""

    backend: str
    precision: str
    latency_ms: float
    """Median over the runs after the first."""
    memory_bytes: int
    """By how much the process grew at its largest, from before the model was opened to after the last run."""
    file_bytes: int
    """Of the model's files."""


def measured(
    path: str | Path, height: int = TILE_PX, width: int = TILE_PX, runs: int = 5, backend: str = "auto", precision: str = "auto"
) -> Measurement:
    """Runs a weight file or exported model in a process of its own, as `ibsd upscale` would. Linux and macOS.

    Errors: InputError as `open_network`.
    """
    from ibsd.upscaling.backends import open_network

    code = f"from ibsd.upscaling.measuring import main; main({str(path)!r}, {height}, {width}, {runs}, {backend!r}, {precision!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if said.returncode:
        open_network(path, backend=backend, precision=precision)  # says what is wrong, if it is the user's
        raise RuntimeError(said.stderr)
    return Measurement(**json.loads(said.stdout.splitlines()[-1]))
