"""`ibsd data preview`: what each preset makes of a photograph, on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ibsd.cli.options import Flag, Output
from ibsd.system import refuse_existing
from ibsd.types import require_scale


def data(
    action: Literal["preview"],
    photograph: Path,
    /,
    *,
    output: Output = None,
    scale: int = 4,
    seed: int = 0,
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Show what training from photographs does to one photograph.

    For example:

    $ ibsd data preview photo.jpg -o preview.png

    The sheet has a row for each preset. It shows the middle of the photograph as LR at three
    strengths, and HR beside it.

    Parameters
    ----------
    action:
        preview.
    photograph:
        A sharp photograph.
    output:
        The sheet. Default: the photograph's name with -preview.png, in the current folder.
    scale:
        1 to 4.
    seed:
        Seed of the degradation.
    force:
        Replace the sheet if it exists.
    json:
        Print what the sheet shows as JSON.
    """
    from ibsd.cli.terminal import print_json, print_line
    from ibsd.commands.data import preview

    require_scale("--scale", scale)
    target = output or Path(f"{photograph.stem}-preview.png")
    refuse_existing([target], force)
    shown = preview(photograph, target, scale, seed)
    if json:
        print_json(shown)
    else:
        print_line(f"{target}: rows {', '.join(shown['rows'])}")
