"""One model run in this process, for `efficiency.measured`. Imports no torch unless the model needs
it, so that memory is the model's."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import numpy as np

from ibsd.inference.open import open_network
from ibsd.system import largest_resident_bytes


def main(path: str, height: int, width: int, runs: int, backend: str, precision: str) -> None:
    """Prints a `Measurement` as a line of JSON."""
    lr = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    before = largest_resident_bytes()
    network = open_network(path, backend=backend, precision=precision, device="cpu")
    seconds = []
    for _ in range(1 + runs):
        start = time.perf_counter()
        network(lr)
        seconds.append(time.perf_counter() - start)
    found = {
        "network": network.facts.name,
        "scale": network.scale,
        "lr": network.facts.padded(lr).shape[-2:],
        "backend": network.backend,
        "precision": network.precision,
        "latency_ms": 1000 * statistics.median(seconds[1:]),
        "memory_bytes": largest_resident_bytes() - before,
        "file_bytes": sum(file.stat().st_size for file in files_of(Path(path))),
    }
    print(json.dumps(found))


def files_of(path: Path) -> list[Path]:
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
