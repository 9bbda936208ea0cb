"""`ibsd compare`: objectives against plain training as paired runs, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.types import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from ibsd.comparison.results import Results

Flag = Parameter(negative="")

_READINGS = {"better": "green", "worse": "red"}


def compare(
    config: Path,
    /,
    *overrides: str,
    only: Annotated[list[str] | None, Flag] = None,
    jobs: int = 1,
    table: Annotated[bool, Flag] = False,
    examine: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
) -> int:
    """Train several objectives as paired runs, and say which differ from plain training by more
    than chance.

    For example:

    $ ibsd compare configs/compare-pairs.toml base.data.pairs=pairs/ --jobs 2

    $ ibsd compare configs/compare-pairs.toml base.data.pairs=pairs/ --only '*/ibsd/*'

    $ ibsd compare configs/compare-pairs.toml base.data.pairs=pairs/ --examine

    $ ibsd compare configs/compare-cameras.toml --table

    Every finished run is one row of a file in the comparison's folder and never made again. A run
    that was ended goes on where it was. Several commands may work on one comparison. Tables, page
    and plot are made of all runs that there are.

    Parameters
    ----------
    config:
        TOML file that describes the comparison.
    overrides:
        Values that replace the file's: section.key=value.
    only:
        Make only runs that match a pattern of setting/arm/seed; may be given several times.
    jobs:
        Runs at a time, each on one thread.
    table:
        Make no run: only tables, page and plot of the runs that there are.
    examine:
        Make no run, but ask of the features of finished ones what they give away: the camera, and
            how far one layer predicts another.
    json:
        Print the results as JSON.
    """
    if jobs < 1:
        raise InputError(f"--jobs is {jobs}: give 1 or more")
    if table and examine:
        raise InputError("--table and --examine exclude each other: give one of them")
    from ibsd.cli.signals import StopRequests
    from ibsd.cli.terminal import output_console, status_console
    from ibsd.commands.compare import compare as make_comparison
    from ibsd.commands.comparison_report import report_path
    from ibsd.config.comparison import load_compare_config

    status = status_console()
    comparison = load_compare_config(config, overrides)
    with StopRequests() as stop:

        def log(sentence: str) -> None:
            status.print(sentence, markup=False)

        results = make_comparison(comparison, only or (), jobs, table, examine, log, stop.reason)
    if json:
        print(results.to_json(), end="")
    else:
        show_compare(results, output_console())
        output_console().print(f"report: {report_path(comparison)}", markup=False)
    return 128 + stop.received if stop.received else 0


def show_compare(results: Results, console: Console) -> None:
    """The primary figure's tables, then cost, then what was refused."""
    from ibsd.reporting.tables import (
        cost_table,
        design_text,
        difference_table,
        primary_differences,
    )

    design = results.design
    for name, setting in design.settings.items():
        for test, role in setting.whole_tests().items():
            table = difference_table(results, name, test)
            if table.rows:
                size = design_text(primary_differences(results, name, test))
                title = f"{name}, scored on {test} ({role}{f'; {size}' if size else ''})"
                print_table(console, title, table.header, table.rows)
    for name in design.settings:
        costs = cost_table(results, name)
        print_table(console, f"cost, {name}", costs.header, costs.rows)
    for sentence in results.refused:
        console.print(f"refused: {sentence}", markup=False)
    if results.missing:
        console.print(f"{len(results.missing)} runs are not made yet", markup=False)


def print_table(
    console: Console, title: str, header: Sequence[str], lines: Sequence[Sequence[str]]
) -> None:
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column, text in enumerate(header):
        shown.add_column(text, justify="left" if column == 0 or text == "reading" else "right")
    for line in lines:
        shown.add_row(*(Text(cell, style=_READINGS.get(cell.split(",")[0], "")) for cell in line))
    console.print(shown)
    console.print()
