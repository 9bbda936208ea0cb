"""`ibsd students`: the networks that can be trained, and their costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter

from ibsd.cli.options import Flag
from ibsd.types import InputError, counted, require, require_scale


def students(
    *names: str,
    scale: int = 4,
    side: int = 128,
    repeats: int = 3,
    threads: int = 1,
    measure: Annotated[bool, Parameter(negative="--no-measure")] = True,
    json: Flag = False,
) -> None:
    """Compare the networks that can be trained: size, work, speed and memory, and the published
    weights that they load.

    For example:

    $ ibsd students

    $ ibsd students imdn span --scale 2 --side 256 --threads 2 --json

    Parameters
    ----------
    names:
        Networks. Default: all.
    scale:
        1 to 4.
    side:
        Side in pixels of the square LR image that is timed.
    repeats:
        Timed passes after a first one. The median is shown.
    threads:
        CPU threads for timing.
    measure:
        Time the networks on this machine, each in a process of its own.
    json:
        Print the figures as JSON.
    """
    from ibsd.cli.terminal import print_json, status
    from ibsd.commands.students import describe_network
    from ibsd.efficiency.count import OUTPUT
    from ibsd.students import STUDENTS

    for name, value in {"--side": side, "--repeats": repeats, "--threads": threads}.items():
        require(name, value, value >= 1, "at least 1")
    require_scale("--scale", scale)
    if unknown := next((name for name in names if name not in STUDENTS), None):
        raise InputError(f"unknown network {unknown!r}; there are: {', '.join(STUDENTS)}")
    with status("measuring" if measure else "counting"):
        rows = [
            describe_network(name, scale, (side, repeats, threads) if measure else None)
            for name in names or STUDENTS
        ]
    if json:
        print_json(
            {"scale": scale, "output": OUTPUT, "side": side, "threads": threads, "students": rows}
        )
        return
    timed = f"{side}x{side} px, {counted(threads, 'thread')}" if measure else None
    show_students(rows, scale, timed)


def show_students(rows: Iterable[dict[str, Any]], scale: int, timed: str | None) -> None:
    from ibsd.cli.terminal import output_console, text_table
    from ibsd.efficiency.count import OUTPUT

    lines: list[list[str]] = []
    for row in rows:
        line = [row["name"], f"{row['parameters']:,}", f"{row['multiply_adds'] / 1e9:,.1f} G"]
        line.append(f"{row['activations'] / 1e6:,.0f} M")
        if timed:
            line += [f"{row['milliseconds']:,.0f}", f"{row['memory_bytes'] / 2**20:,.0f}"]
        lines.append([*line, row["nodes"], row["weights"]])
    here = ("ms here", "MiB here") if timed else ()
    last = ("nodes", "weights from")
    header = ("network", "parameters", "multiply-adds", "activations", *here, *last)
    console = output_console()
    console.print(text_table(header, lines, f"networks at x{scale}, as published", left=last))
    note = f"multiply-adds and activations: for an output of {OUTPUT[1]}x{OUTPUT[0]} px"
    if timed:
        note += f"; ms and MiB: LR {timed}, on this machine"
    console.print(f"\n{note}. How they are counted: docs/students.md", style="dim")
