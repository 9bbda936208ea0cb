"""`ibsd students`: what can be trained, what it costs on paper and here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter

from ibsd.types import InputError


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
    from ibsd.commands.students import OUTPUT, describe_network
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
            describe_network(name, scale, (side, repeats, threads) if measure else None)
            for name in names or STUDENTS
        ]
    if json:
        print_json(
            {"scale": scale, "output": OUTPUT, "side": side, "threads": threads, "students": rows}
        )
        return
    show_students(
        rows,
        scale,
        f"{side}x{side} px, {threads} thread{'' if threads == 1 else 's'}" if measure else None,
    )


def show_students(rows: Iterable[dict[str, Any]], scale: int, timed: str | None) -> None:
    from rich.table import Table

    from ibsd.cli.terminal import output_console
    from ibsd.commands.students import OUTPUT

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
    note = f"multiply-adds and activations: for an output of {OUTPUT[1]}x{OUTPUT[0]} px"
    if timed:
        note += f"; ms and MiB: LR {timed}, on this machine"
    console.print(f"\n{note}. How they are counted: docs/students.md", style="dim")
