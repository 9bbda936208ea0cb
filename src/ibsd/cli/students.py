"""`ibsd students`: what can be trained, what it costs on paper and here."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter

from ibsd.types import InputError

OUTPUT = (720, 1280)
"""Height and width at which multiply-adds and activations are stated in the literature."""
MEASURE = "from ibsd.cli.students import measure; import sys; print(*measure(sys.argv[1], *map(int, sys.argv[2:])))"


def students(
    *names: str,
    scale: int = 4,
    side: int = 128,
    repeats: int = 3,
    threads: int = 1,
    measure: Annotated[bool, Parameter(negative="--no-measure")] = True,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compare the networks that can be trained: size, work, speed and memory here, and whose
    weights they load.

    For example:

    $ ibsd students

    $ ibsd students imdn span --scale 2 --side 256 --threads 2 --json

    Parameters
    ----------
    names:
        Networks; all unless given.
    scale:
        2, 3 or 4.
    side:
        LR side in pixels of the square picture that is timed.
    repeats:
        Timed passes after one that is not counted; the median is shown.
    threads:
        Threads of the CPU to time with.
    measure:
        Time the networks here, each in a process of its own.
    json:
        Print the figures as JSON.
    """
    from ibsd.cli.terminal import print_json, status_console
    from ibsd.students import STUDENTS
    from ibsd.types import SCALES

    checks = {"--side": side, "--repeats": repeats, "--threads": threads}
    if wrong := next((name for name, value in checks.items() if value < 1), None):
        raise InputError(f"{wrong} is {checks[wrong]}; it must be at least 1")
    if scale not in SCALES:
        raise InputError(f"--scale is {scale}; it must be one of {', '.join(map(str, SCALES))}")
    if unknown := next((name for name in names if name not in STUDENTS), None):
        raise InputError(f"unknown network {unknown!r}; there are: {', '.join(STUDENTS)}")
    with status_console().status("measuring" if measure else "counting"):
        rows = [
            figures(name, scale, (side, repeats, threads) if measure else None)
            for name in names or STUDENTS
        ]
    if json:
        print_json(
            {"scale": scale, "output": OUTPUT, "side": side, "threads": threads, "students": rows}
        )
        return
    show(
        rows,
        scale,
        f"{side}x{side} px, {threads} thread{'' if threads == 1 else 's'}" if measure else None,
    )


def figures(name: str, scale: int, timing: tuple[int, int, int] | None) -> dict[str, Any]:
    """All that is known of a network at a scale; `timing` is side, repeats and threads."""
    import torch

    from ibsd.efficiency.count import count_cost
    from ibsd.students import create_student

    lr_size = -(-OUTPUT[0] // scale), -(-OUTPUT[1] // scale)
    with torch.device("meta"):
        student = create_student(name, scale)
    spec, card = student.spec, student.card
    row: dict[str, Any] = {"name": name} | dataclasses.asdict(count_cost(name, scale, lr_size))
    if timing:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, name, str(scale), *map(str, timing)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"timing {name}: {done.stderr}")
        seconds, memory = done.stdout.split()
        row |= {"milliseconds": 1000 * float(seconds), "memory_bytes": int(memory)}
    return row | {
        "nodes": f"{spec.num_nodes} of {spec.channels} channels",
        "receptive_field_px": spec.receptive_field_px,
        "minimum_size_px": spec.minimum_size_px,
        "pools_globally": spec.pools_globally,
        "tiling": student.tiling_advice(),
        "paper": card.paper,
        "weights": card.weights,
    }


def measure(name: str, scale: int, side: int, repeats: int, threads: int) -> tuple[float, int]:
    """(median seconds, most memory in bytes) of a fresh network on a square picture, in a process
    that has done nothing else."""
    import torch

    from ibsd.efficiency.measure import median_seconds, peak_memory_bytes
    from ibsd.students import create_student

    torch.set_num_threads(threads)
    student = create_student(name, scale).eval()
    lr = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        student(lr[..., :16, :16])  # what torch loads on first use is not the network's
    memory = peak_memory_bytes(student, lr)
    return median_seconds(student, lr, repeats), memory


def show(rows: Iterable[dict[str, Any]], scale: int, timed: str | None) -> None:
    from rich.table import Table

    from ibsd.cli.terminal import output_console

    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title=f"networks at x{scale}, as published",
        title_justify="left",
    )
    table.add_column("network")
    for heading in (
        "parameters",
        "multiply-adds",
        "activations",
        *(("ms here", "MiB here") if timed else ()),
    ):
        table.add_column(heading, justify="right")
    for heading in ("nodes", "weights from"):
        table.add_column(heading)
    for row in rows:
        here = (
            (f"{row['milliseconds']:,.0f}", f"{row['memory_bytes'] / 2**20:,.0f}") if timed else ()
        )
        costs = (
            f"{row['parameters']:,}",
            f"{row['multiply_adds'] / 1e9:,.1f} G",
            f"{row['activations'] / 1e6:,.0f} M",
        )
        table.add_row(row["name"], *costs, *here, row["nodes"], row["weights"])
    console = output_console()
    console.print(table)
    size = f"multiply-adds and activations: for an output of {OUTPUT[1]}x{OUTPUT[0]} px"
    console.print(
        f"\n{size}{f'; ms and MiB: LR {timed}, on this machine' if timed else ''}. How they are counted: docs/students.md",
        style="dim",
    )
