"""`ibsd models`: the shipped weights, and the networks that can be trained."""

from __future__ import annotations

from typing import Any

from ibsd.cli.options import Flag


def models(*, json: Flag = False) -> None:
    """List the weights that come with ibsd, and the networks that can be trained.

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
    from ibsd.cli.terminal import output_console, print_line, text_table
    from ibsd.weights import FOLDER

    console = output_console()
    rows = [
        (
            row["name"],
            f"x{row['scale']}",
            f"{row['parameters']:,}",
            f"{row['bytes'] / 1024:,.0f}",
            row["aim"],
        )
        for row in weights
    ]
    header = ("weights", "scale", "parameters", "KiB", "aim")
    console.print(text_table(header, rows, left=("aim",)))
    print_line(f"\nModel cards: {FOLDER}")
    print_line(f"Use: ibsd upscale photo.jpg -o large.png --weights {weights[0]['name']}\n")
    if not networks:
        print_line("Networks to train: pip install 'ibsd[train]' first.")
        return
    scales = next(iter(networks.values()))
    header = ("network", *(f"parameters at x{scale}" for scale in scales))
    sizes = ([name, *(f"{size:,}" for size in row.values())] for name, row in networks.items())
    console.print(text_table(header, sizes))
    print_line("\nA config names one in [student]: name, scale, options (imdn: width, num_blocks).")
