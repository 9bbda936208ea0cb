"""`ibsd models`: what there is to use at once, and what can be trained."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter


def models(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """List the weights that ibsd brings, and the networks that can be trained, with their
    parameters at each scale.

    For example:

    $ ibsd models

    $ ibsd models --json

    Parameters
    ----------
    json:
        Print the list as JSON.
    """
    from ibsd.cli.terminal import print_json
    from ibsd.commands.models import network_sizes, shipped_weights
    from ibsd.weights import FOLDER

    weights = shipped_weights()
    networks = network_sizes()
    if json:
        print_json({"weights": weights, "folder": FOLDER, "networks": networks})
    else:
        show_models(weights, networks)


def show_models(weights: list[dict[str, Any]], networks: dict[str, dict[int, int]]) -> None:
    """Two tables, and how to use what they list."""
    from rich.table import Table

    from ibsd.cli.terminal import output_console
    from ibsd.weights import FOLDER

    console = output_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("weights")
    for header in ("scale", "parameters", "KiB"):
        table.add_column(header, justify="right")
    table.add_column("aim")
    for row in weights:
        table.add_row(
            row["name"],
            f"x{row['scale']}",
            f"{row['parameters']:,}",
            f"{row['bytes'] / 1024:,.0f}",
            row["aim"],
        )
    console.print(table)
    console.print(
        f"\nModel cards: {FOLDER}. "
        f"Use: ibsd upscale photo.jpg -o large.png --weights {weights[0]['name']}\n",
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("network")
    for scale in next(iter(networks.values())):
        table.add_column(f"parameters at x{scale}", justify="right")
    for name, sizes in networks.items():
        table.add_row(name, *(f"{size:,}" for size in sizes.values()))
    console.print(table)
    console.print(
        "\nA config names one under \\[student]: name, scale and, as options, "
        "what the network offers (imdn: width, num_blocks)."
    )
