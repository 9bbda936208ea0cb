"""`ibsd efficiency`: what networks cost at inference."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from ibsd.efficiency.count import InferenceCost
    from ibsd.efficiency.measure import Measurement


def efficiency(
    *weights: Path,
    size: int = 256,
    runs: int = 5,
    backend: str = "auto",
    precision: str = "auto",
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Parameters, multiply-adds, activations, memory and latency of trained networks, side by side.

    For example:

    $ ibsd efficiency ibsd.safetensors plain.safetensors

    Training does not change the cost: counts are equal, and times differ only by noise. Each file
    runs in a process of its own, through the model that ibsd export made of it if there is one. The
    counts are those of the network that ran.

    Parameters
    ----------
    weights:
        Weight files (.safetensors, or a published .pth), names from ibsd models, or models from
        ibsd export (.xml, .onnx).
    size:
        Side of the picture that goes in, in pixels.
    runs:
        Runs after the first; the median counts.
    backend:
        As ibsd upscale.
    precision:
        As ibsd upscale.
    output:
        Also write the figures into this JSON file.
    force:
        Replace the file if it exists.
    json:
        Print the figures as JSON.
    """
    from json import dumps

    from rich.table import Table

    from ibsd.cli.terminal import output_console, print_json, refuse_existing, status_console
    from ibsd.efficiency.measure import measured
    from ibsd.system import write_whole
    from ibsd.types import InputError
    from ibsd.weights import named_or_file

    if not weights:
        raise InputError(
            "there is nothing to measure: "
            "name weight files or exported models, as ibsd efficiency --help shows"
        )
    if size < 1 or runs < 1:
        raise InputError(f"--size is {size} and --runs is {runs}: both must be 1 or more")
    refuse_existing([output] if output else [], force)
    rows: list[dict[str, Any]] = []
    with status_console().status("measuring"):
        for path in map(named_or_file, weights):
            measurement = measured(path, size, size, runs, backend, precision)
            cost = cost_of(path, measurement, backend, precision)
            rows.append({"weights": path.name, **asdict(cost), **asdict(measurement)})
    figures = {"size": size, "runs": runs, "networks": rows}
    if output is not None:
        write_whole(output, dumps(figures, indent=1) + "\n")
    if json:
        print_json(figures)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("weights")
    table.add_column("network")
    for name in ("parameters", "multiply-adds", "activations", "memory, MiB", "latency, ms"):
        table.add_column(name, justify="right")
    table.add_column("ran on")
    for row in rows:
        table.add_row(
            row["weights"],
            f"{row['network']} x{row['scale']}",
            f"{row['parameters']:,}",
            f"{row['multiply_adds'] / 1e9:,.1f} G",
            f"{row['activations'] / 1e6:,.0f} M",
            f"{row['memory_bytes'] / 2**20:.0f}",
            f"{row['latency_ms']:.0f}",
            f"{row['backend']} {row['precision']}",
        )
    output_console().print(table)


def cost_of(path: Path, measurement: Measurement, backend: str, precision: str) -> InferenceCost:
    """The cost of the network that ran: counted in the exported model's graph if OpenVINO can read
    it, else in the student."""
    from ibsd.efficiency.count import count_cost, count_exported_cost
    from ibsd.inference.exported import BACKEND_OF_SUFFIX
    from ibsd.inference.open import chosen_file, installed

    _, file = chosen_file(path, backend, precision, "cpu")
    if file.suffix in BACKEND_OF_SUFFIX and installed("openvino"):
        return count_exported_cost(file, *measurement.lr)
    from ibsd.students import load_student

    spec = load_student(path).spec
    return count_cost(spec.name, spec.scale, measurement.lr, **spec.options)
