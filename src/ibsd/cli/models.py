"""`ibsd models`: what can be trained."""

from __future__ import annotations


def models() -> None:
    """List the networks that can be trained, with their parameters at each scale.

    For example:

    $ ibsd models
    """
    import torch
    from rich.table import Table

    from ibsd.cli.terminal import output_console
    from ibsd.students import STUDENTS, create_student
    from ibsd.types import SCALES

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("network")
    for scale in SCALES:
        table.add_column(f"parameters at x{scale}", justify="right")
    for name in STUDENTS:
        with torch.device("meta"):  # counted, not filled
            sizes = [sum(parameter.numel() for parameter in create_student(name, scale).parameters()) for scale in SCALES]
        table.add_row(name, *(f"{size:,}" for size in sizes))
    console = output_console()
    console.print(table)
    console.print("\nA config names one under \\[student]: name, scale and, as options, what the network offers (imdn: width, num_blocks).")
