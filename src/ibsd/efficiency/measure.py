"""The cost of a network, measured: seconds and memory of a model as `ibsd upscale` runs it, and of
a student in this process.

Imports torch only if the network needs it, so that the memory is the model's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ibsd.inference.network import DEFAULT_TILE_PX
from ibsd.inference.open import open_network
from ibsd.system import largest_resident_bytes, resident_bytes
from ibsd.types import Scale, require

if TYPE_CHECKING:
    from torch import Tensor

    from ibsd.students import Student


@dataclass(frozen=True)
class Measurement:
    """One run of a model in a fresh process."""

    network: str
    scale: Scale
    lr: tuple[int, int]
    """Height and width of the input: as asked for, or larger if the model takes no smaller
    size."""
    backend: str
    precision: str
    latency_ms: float
    """Median over the runs after the first."""
    memory_bytes: int
    """The growth of the process at its largest, from before the model was opened to after the last
    run."""
    file_bytes: int
    """Of the model's files."""


def measured(
    path: str | Path,
    height: int = DEFAULT_TILE_PX,
    width: int = DEFAULT_TILE_PX,
    runs: int = 5,
    backend: str = "auto",
    precision: str = "auto",
) -> Measurement:
    """Runs a weight file or exported model in a process of its own. Linux and macOS. Errors:
    InputError as `open_network`."""
    arguments = [path, height, width, runs, backend, precision]
    command = [sys.executable, "-m", "ibsd.efficiency.measure", *map(str, arguments)]
    child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode:
        open_network(path, backend=backend, precision=precision)  # raises the user's mistakes
        raise RuntimeError(child.stderr)
    record = json.loads(child.stdout.splitlines()[-1])
    return Measurement(**record | {"lr": tuple(record["lr"])})


def measure_here(
    path: str, height: int, width: int, runs: int, backend: str, precision: str
) -> Measurement:
    """Runs the model in this process, which must not have held more memory before."""
    lr = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    before = largest_resident_bytes()
    network = open_network(path, backend=backend, precision=precision, device="cpu")
    seconds: list[float] = []
    for _ in range(1 + runs):
        start = time.perf_counter()
        network(lr)
        seconds.append(time.perf_counter() - start)
    memory_bytes = largest_resident_bytes() - before
    files = [Path(path)]
    if files[0].suffix == ".xml":
        files.append(files[0].with_suffix(".bin"))
    return Measurement(
        network=network.descriptor.name,
        scale=network.scale,
        lr=network.descriptor.padded_size(height, width),
        backend=network.backend,
        precision=network.precision,
        latency_ms=1000 * statistics.median(seconds[1:]),
        memory_bytes=memory_bytes,
        file_bytes=sum(file.stat().st_size for file in files),
    )


def median_seconds(student: Student, lr: Tensor, repeats: int) -> float:
    """Median wall-clock seconds of `repeats` forward passes, after one that does not count. On a
    GPU the clock stops when the GPU has finished."""
    import torch

    require("--repeats", repeats, repeats >= 1, "at least 1")

    def once() -> float:
        start = time.perf_counter()
        student(lr)
        if lr.is_cuda:
            torch.cuda.synchronize(lr.device)
        return time.perf_counter() - start

    with torch.inference_mode():
        once()
        return statistics.median(once() for _ in range(repeats))


def peak_memory_bytes(student: Student, lr: Tensor) -> int:
    """The most memory that one forward pass holds beyond what was held before.

    On a GPU this is what torch allocates. On a CPU it is the largest resident size of the process
    less the present one. The largest size never falls, so call this in a process that has done
    nothing larger.
    """
    import torch

    with torch.inference_mode():
        if lr.is_cuda:
            torch.cuda.reset_peak_memory_stats(lr.device)
            before = torch.cuda.memory_allocated(lr.device)
            student(lr)
            torch.cuda.synchronize(lr.device)
            return torch.cuda.max_memory_allocated(lr.device) - before
        before = resident_bytes()
        student(lr)
        return max(0, largest_resident_bytes() - before)


if __name__ == "__main__":
    file, height, width, runs, backend, precision = sys.argv[1:]
    measurement = measure_here(file, int(height), int(width), int(runs), backend, precision)
    print(json.dumps(asdict(measurement)))
