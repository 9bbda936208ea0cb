"""`ibsd models`: what there is to use at once, and what can be trained."""

from __future__ import annotations


def models() -> None:
    """List the weights that ibsd brings, and the networks that can be trained, with their parameters at each scale.

    For example:

    $ ibsd models
    """
    import torch
    from rich.table import Table

    from ibsd.cli.terminal import output_console
    from ibsd.students import STUDENTS, create_student, load_student
    from ibsd.types import SCALES
    from ibsd.weights import FOLDER, SHIPPED, weights_file

    console = output_console()
    shipped = Table(box=None, pad_edge=False, header_style="bold")
    shipped.add_column("weights")
    for header in ("scale", "parameters", "KiB"):
        shipped.add_column(header, justify="right")
    for name in SHIPPED:
        student = load_student(name)
        size = sum(parameter.numel() for parameter in student.parameters())
        shipped.add_row(name, f"x{student.spec.scale}", f"{size:,}", f"{weights_file(name).stat().st_size / 1024:,.0f}")
    console.print(shipped)
    console.print(
        f"\nModel cards: {FOLDER}. Use: ibsd upscale photo.jpg -o large.png --weights {SHIPPED[0]}\n", markup=False, soft_wrap=True
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("network")
    for scale in SCALES:
        table.add_column(f"parameters at x{scale}", justify="right")
    for name in STUDENTS:
        with torch.device("meta"):  # counted, not filled
            sizes = [sum(parameter.numel() for parameter in create_student(name, scale).parameters()) for scale in SCALES]
        table.add_row(name, *(f"{size:,}" for size in sizes))
    console.print(table)
    console.print("\nA config names one under \\[student]: name, scale and, as options, what the network offers (imdn: width, num_blocks).")
