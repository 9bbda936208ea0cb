"""`ibsd report`: one page about runs, a comparison, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ibsd.types import InputError


def report(
    *folders: Path,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    pictures: Annotated[bool, Parameter(negative="--no-pictures")] = True,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write one page about runs, a comparison, scores: a single HTML file that needs nothing beside
    it.

    For example:

    $ ibsd report runs/demo/ibsd

    $ ibsd report runs/demo/plain runs/demo/ibsd -o both.html

    $ ibsd report comparison/ matrix/ -o report.html

    Pictures before and after come from val, and from inside ibsd where the run had none; never from
    test. A comparison's page with pictures is the one that ibsd compare writes, with --table
    without making runs.

    Parameters
    ----------
    folders:
        Run folders of ibsd train, a folder of ibsd compare, folders of ibsd evaluate -o.
    output:
        The page; by default report.html in the folder, if it is one.
    force:
        Replace a page that exists; that of a run is always replaced.
    pictures:
        Upscale pictures with the runs' networks, which takes seconds.
    json:
        Print where the page is as JSON.
    """
    if not folders:
        raise InputError(
            "there is nothing to report on: name folders of ibsd train, compare or evaluate, "
            "as ibsd report --help shows"
        )
    if missing := next((folder for folder in folders if not folder.is_dir()), None):
        raise InputError(
            f"{missing}: is no folder; name one that ibsd train, compare or evaluate wrote"
        )
    if output is None and len(folders) > 1:
        raise InputError("several folders give one page: say where it goes with -o FILE.html")
    from ibsd.cli.terminal import output_console, print_json, refuse_existing, status_console
    from ibsd.commands.report import NAME
    from ibsd.commands.report import report as write_report
    from ibsd.commands.run_record import RUN_FILE

    target = output or next(iter(folders)) / NAME
    if output is not None or not (target.parent / RUN_FILE).is_file():
        refuse_existing([target], force)
    with status_console().status("writing, with pictures to upscale" if pictures else "writing"):
        write_report(folders, target, pictures)
    if json:
        print_json({"report": target})
    else:
        output_console().print(f"report: {target}", markup=False)
