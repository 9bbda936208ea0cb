"""`ibsd compare`: objectives against plain training as paired runs, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.cli.options import Flag
from ibsd.types import InputError, counted

if TYPE_CHECKING:
    from rich.console import Console

    from ibsd.comparison.results import Results

_READINGS = {"better": "green", "worse": "red"}


def compare(
    config: Path,
    /,
    *overrides: str,
    only: Annotated[list[str] | None, Parameter(negative="")] = None,
    jobs: int = 1,
    cluster: str | None = None,
    table: Flag = False,
    examine: Flag = False,
    json: Flag = False,
) -> int:
    """Train several objectives as paired runs and compare each with plain training.

    For example:

    $ ibsd compare configs/compare-pairs.toml base.data.pairs=pairs/ --jobs 2

    $ ibsd compare configs/compare-pairs.toml base.data.pairs=pairs/ --only '*/ibsd/*'

    $ ibsd compare configs/compare-pairs.toml base.data.pairs=pairs/ --examine

    $ ibsd compare configs/compare-cameras.toml --table

    A finished run is stored in the comparison's folder and never made again. An interrupted run
    goes on where it stopped. Several commands may work on one comparison. Tables, page and plot
    show all finished runs.

    Parameters
    ----------
    config:
        TOML file that describes the comparison.
    overrides:
        Settings that replace the file's: section.key=value.
    only:
        Make only runs whose setting/arm/seed matches this pattern. May be given several times.
    jobs:
        Runs at a time, each on one thread.
    cluster:
        Make the runs on all machines of a Ray cluster: its address, such as 10.0.0.5:6379, or
        local for all cores of this machine. Folders must be shared. Needs pip install
        'ibsd[cluster]'.
    table:
        Make no run. Show the finished ones.
    examine:
        Make no run. Measure what the features of finished runs tell: the camera, and how well one
        layer predicts another.
    json:
        Print the results as JSON.
    """
    if jobs < 1:
        raise InputError(f"--jobs is {jobs}: give 1 or more")
    if table and examine:
        raise InputError("give --table or --examine, not both")
    if table and only:
        raise InputError("--table shows all finished runs: leave out --only")
    if cluster is not None:
        if jobs > 1 or table or examine:
            raise InputError("--cluster makes runs: leave out --jobs, --table and --examine")
        from ibsd.cluster import require_ray

        require_ray()
    from ibsd.cli.signals import StopRequests
    from ibsd.cli.terminal import log, output_console, print_line
    from ibsd.commands.compare import compare as make_comparison
    from ibsd.commands.comparison_report import report_path
    from ibsd.config.comparison import load_compare_config

    comparison = load_compare_config(config, overrides)
    with StopRequests() as stop:
        results = make_comparison(
            comparison, only or (), jobs, cluster, table, examine, log, stop.reason
        )
    if json:
        print(results.to_json(), end="")
    else:
        show_compare(results, output_console())
        print_line(f"report: {report_path(comparison)}")
    return 128 + stop.received if stop.received else 0


def show_compare(results: Results, console: Console) -> None:
    """The primary figure's tables, then cost, then what was refused."""
    from ibsd.cli.terminal import print_line
    from ibsd.comparison.statistics import MIN_SEEDS
    from ibsd.reporting.tables import cost_table, design_text, difference_table, primary_differences

    design = results.design
    for name, setting in design.settings.items():
        for test, role in setting.whole_tests().items():
            table = difference_table(results, name, test)
            if table.rows:
                size = design_text(primary_differences(results, name, test))
                title = f"{name}, scored on {test} ({role}{f'; {size}' if size else ''})"
                print_table(console, title, table.header, table.rows)
    if any(row.verdict == "no interval" for row in results.differences):
        print_line(f"no interval: it takes {MIN_SEEDS} seeds, compare.seeds\n")
    for name in design.settings:
        costs = cost_table(results, name)
        print_table(console, f"cost, {name}", costs.header, costs.rows)
    for sentence in results.refused:
        print_line(f"refused: {sentence}")
    if results.missing:
        print_line(f"{counted(len(results.missing), 'run')} still to make")


def print_table(
    console: Console, title: str, header: Sequence[str], lines: Sequence[Sequence[str]]
) -> None:
    from rich.text import Text

    from ibsd.cli.terminal import text_table

    def styled(cell: str) -> Text:
        return Text(cell, style=_READINGS.get(cell.split(",")[0], ""))

    rows = ([styled(cell) for cell in line] for line in lines)
    console.print(text_table(header, rows, title, left=("reading",)))
    console.print()
