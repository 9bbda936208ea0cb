"""`ibsd efficiency` without a terminal: networks measured and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ibsd.efficiency.count import InferenceCost, count_cost, count_exported_cost
from ibsd.efficiency.measure import Measurement, measured
from ibsd.inference.exported import BACKEND_OF_SUFFIX
from ibsd.inference.open import chosen_file, installed
from ibsd.weights import named_or_file


def measure_networks(
    weights: Sequence[Path], size: int, runs: int, backend: str, precision: str
) -> dict[str, Any]:
    """{"size", "runs", "networks": a row for each file}. Errors: InputError as `open_network`."""
    rows: list[dict[str, Any]] = []
    for path in map(named_or_file, weights):
        measurement = measured(path, size, size, runs, backend, precision)
        cost = cost_of(path, measurement, backend, precision)
        rows.append({"weights": path.name, **asdict(cost), **asdict(measurement)})
    return {"size": size, "runs": runs, "networks": rows}


def cost_of(path: Path, measurement: Measurement, backend: str, precision: str) -> InferenceCost:
    """The cost of the network that ran: of the exported model if OpenVINO can read it, else of the
    student."""
    _, file = chosen_file(path, backend, precision, "cpu")
    if file.suffix in BACKEND_OF_SUFFIX and installed("openvino"):
        return count_exported_cost(file, *measurement.lr)
    from ibsd.students import load_student

    spec = load_student(path).spec
    return count_cost(spec.name, spec.scale, measurement.lr, **spec.options)
