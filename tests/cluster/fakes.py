"""A network for workers that starts at once, and pictures that it takes badly."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

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
