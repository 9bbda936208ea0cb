"""`ibsd report`: one page about runs, a comparison, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ibsd.cli.options import Flag, Output
from ibsd.system import refuse_existing
from ibsd.types import InputError


def report(
    *folders: Path,
    output: Output = None,
    force: Flag = False,
    pictures: Annotated[bool, Parameter(negative="--no-pictures")] = True,
    json: Flag = False,
) -> None:
    """Write one self-contained HTML page about runs, a comparison, scores or a matrix.

    For example:

    $ ibsd report runs/demo/ibsd

    $ ibsd report runs/demo/plain runs/demo/ibsd -o both.html

    $ ibsd report comparison/ matrix/ -o report.html

    Images of a run come from val, or from inside ibsd if it had no val; never from test. Images of
    scores are those that were scored. For a comparison's page with images, see ibsd compare
    --table.

    Parameters
    ----------
    folders:
        Run folders of ibsd train, a folder of ibsd compare, folders of ibsd evaluate -o.
    output:
        The page. Default for a single folder: report.html in it.
    force:
        Replace a page that exists. The page of a run is always replaced.
    pictures:
        Upscale images with the networks of runs or scores. That takes seconds.
    json:
        Print the path of the page as JSON.
    """
    if not folders:
        raise InputError("name folders of ibsd train, compare or evaluate, or see --help")
    if missing := next((folder for folder in folders if not folder.is_dir()), None):
        raise InputError(
            f"{missing} is no folder: name one that ibsd train, compare or evaluate wrote"
        )
    if output is None and len(folders) > 1:
        raise InputError("several folders give one page: name it with -o FILE.html")
    from ibsd.cli.terminal import print_json, print_line, status
    from ibsd.commands.report import NAME
    from ibsd.commands.report import report as write_report
    from ibsd.commands.run_record import RUN_FILE

    target = output or next(iter(folders)) / NAME
    if output is not None or not (target.parent / RUN_FILE).is_file():
        refuse_existing([target], force)
    with status("writing"):
        write_report(folders, target, pictures)
    if json:
        print_json({"report": target})
    else:
        print_line(f"report: {target}")
