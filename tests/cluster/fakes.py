"""A network that starts at once, pictures that it takes badly, and tasks without Ray."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ibsd.cluster import engine, tasks
from ibsd.images.rgb import write_rgb
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.types import InputError

DESCRIPTOR = NetworkDescriptor("repeat", 2, 0, pools_globally=False, minimum_size_px=1)


def open_fake() -> Network:
    """Repeats pixels, a tenth of a second a picture. A black picture ends its worker."""

    def run(lr: np.ndarray) -> np.ndarray:
        if not lr.any():
            os._exit(1)
        time.sleep(0.1)
        return lr.repeat(2, axis=2).repeat(2, axis=3)

    return Network(DESCRIPTOR, run)


def fatal(number: int) -> int:
    """A task. 1 ends its process, and 2 is a defect."""
    if number == 1:
        os._exit(1)
    return number // (number - 2)


def refuse() -> Network:
    """As for weights that cannot be read."""
    raise InputError("no such network")


def write_pictures(folder: Path, number: int, *, black: bool = False) -> list[Path]:
    """Pictures 00.png, 01.png ..., random or black."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    paths = [folder / f"{k:02}.png" for k in range(number)]
    for path in paths:
        write_rgb(path, draw.integers(0, 1 if black else 256, (8, 8, 3), dtype=np.uint8))
    return paths


def without_ray(
    monkeypatch: pytest.MonkeyPatch, is_deadly: Callable[[Any], bool] = lambda item: False
) -> Callable[[], int]:
    """Tasks of `cluster.tasks` run in this process, the newest first, and what travels is pickled.
    A deadly item ends its processes. Returns how many calls there were at once."""
    calls: list[tuple[Any, ...]] = []
    most = 0

    def remote(function: Any, shared: bytes, item: object) -> bytes:
        nonlocal most
        calls.append((function, shared, pickle.dumps(item)))
        most = max(most, len(calls))
        return pickle.dumps(calls[-1])

    def get(call: bytes) -> Any:
        function, shared, item = pickle.loads(call)
        calls.pop()
        given = pickle.loads(item)
        if is_deadly(given):
            raise MemoryError("The worker died")
        return pickle.loads(pickle.dumps(function(pickle.loads(shared), given)))

    ray = SimpleNamespace(
        remote=lambda **options: lambda function: SimpleNamespace(remote=partial(remote, function)),
        put=pickle.dumps,
        cluster_resources=lambda: {"CPU": 2.0},
        wait=lambda waiting, timeout: (waiting[-1:], waiting[:-1]),
        get=get,
        exceptions=SimpleNamespace(
            RayTaskError=SystemError,
            WorkerCrashedError=MemoryError,
            OutOfMemoryError=MemoryError,
            NodeDiedError=MemoryError,
        ),
    )
    monkeypatch.setattr(tasks, "import_module", lambda name: ray)
    monkeypatch.setattr(tasks, "connected", lambda address: nullcontext())
    monkeypatch.setattr(engine, "connected", lambda address: nullcontext())
    return lambda: most
