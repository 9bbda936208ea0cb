"""What a run comes to, on Ray's dashboard and for Prometheus."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ibsd.cluster.manifest import Row


class Metrics:
    """Counters of one run. Ray must be connected when they are made."""

    def __init__(self) -> None:
        metrics: Any = import_module("ray.util.metrics")
        self.files = metrics.Counter("ibsd_files", "Photographs", ("state",))
        self.deaths = metrics.Counter("ibsd_worker_deaths", "Workers that died over photographs")
        self.pixels = metrics.Counter("ibsd_pixels", "Pixels of results")
        self.seconds = metrics.Counter("ibsd_worker_seconds", "Seconds of workers")
        self.left = metrics.Gauge("ibsd_files_left", "Photographs without a row")

    def add(self, row: Row, pixels: int, left: int) -> None:
        """Counts a photograph. `left`: how many are still to come."""
        self.files.inc(1, {"state": row.state})
        self.left.set(left)
        for counter, value in (
            (self.deaths, row.tries - 1),
            (self.pixels, pixels),
            (self.seconds, row.seconds),
        ):
            if value > 0:  # else Ray refuses it
                counter.inc(value)
