"""`ibsd efficiency`: what networks cost at inference."""

from __future__ import annotations

from pathlib import Path

from ibsd.cli.options import Flag, Output
from ibsd.system import make_folder, refuse_existing, write_json
from ibsd.types import InputError

COUNTED = ("weights", "network", "parameters", "multiply-adds", "activations")
MEASURED = ("memory, MiB", "latency, ms", "ran on")


def efficiency(
    *weights: Path,
    size: int = 256,
    runs: int = 5,
    backend: str = "auto",
    precision: str = "auto",
    output: Output = None,
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Measure what networks cost at inference: parameters, multiply-adds, memory, time.

    For example:

    $ ibsd efficiency ibsd.safetensors plain.safetensors

    Training does not change the cost: counts are equal, and times differ by noise. Each file runs
    in a process of its own, as a model from ibsd export if one lies beside it.

    Parameters
    ----------
    weights:
        Weight files (.safetensors, or a published .pth), names from ibsd models, or models from
        ibsd export (.xml, .onnx).
    size:
        Side of the input image in pixels.
    runs:
        Timed runs after a first one. The median is shown.
    backend:
        As for ibsd upscale.
    precision:
        As for ibsd upscale.
    output:
        Write the figures into this JSON file too.
    force:
        Replace the file if it exists.
    json:
        Print the figures as JSON.
    """
    if not weights:
        raise InputError(
            "nothing to measure: name weight files or models, as ibsd efficiency --help shows"
        )
    if size < 1 or runs < 1:
        raise InputError(f"--size is {size} and --runs is {runs}: both must be 1 or more")
    from ibsd.cli.terminal import output_console, print_json, status, text_table
    from ibsd.commands.efficiency import measure_networks

    if output:
        refuse_existing([output], force)
        make_folder(output.parent)
    with status("measuring"):
        figures = measure_networks(weights, size, runs, backend, precision)
    if output:
        write_json(output, figures)
    if json:
        print_json(figures)
        return
    rows = [
        (
            row["weights"],
            f"{row['network']} x{row['scale']}",
            f"{row['parameters']:,}",
            f"{row['multiply_adds'] / 1e9:,.1f} G",
            f"{row['activations'] / 1e6:,.0f} M",
            f"{row['memory_bytes'] / 2**20:.0f}",
            f"{row['latency_ms']:.0f}",
            f"{row['backend']} {row['precision']}",
        )
        for row in figures["networks"]
    ]
    output_console().print(text_table((*COUNTED, *MEASURED), rows, left=("network", "ran on")))
