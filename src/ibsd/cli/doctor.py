"""`ibsd doctor`: pairs checked before anyone trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ibsd.cli.options import Flag, Output, require_folders
from ibsd.cluster import require_ray
from ibsd.system import json_text, make_folder, refuse_existing
from ibsd.types import counted, require, require_scale

if TYPE_CHECKING:
    from ibsd.doctor.checkup import Checkup

MOST_ROWS = 40


def doctor(
    pairs: Path | None = None,
    /,
    *,
    lr: Path | None = None,
    hr: Path | None = None,
    scale: int | None = None,
    max_shift: float = 0.5,
    output: Output = None,
    cluster: str | None = None,
    force: Flag = False,
    json: Flag = False,
) -> int:
    """Check pairs before training on them: files, alignment, colours, leaks.

    For example:

    $ ibsd doctor photos/ -o checkup/

    $ ibsd train run.toml data.pairs=photos/ data.drop=checkup/drop.txt

    For each pair it reports files that cannot be read; shift, rotation and colour gain between LR
    and HR; saturation; and the PSNR that the misalignment allows. It also finds flat images, pairs
    that show different things, and images that occur twice, above all in training and test.

    Parameters
    ----------
    pairs:
        Folder of pairs in any layout that ibsd train reads.
    lr:
        Folder of LR images, instead of the folder of pairs.
    hr:
        Folder of HR images.
    scale:
        1 to 4. Default: the scale of the images.
    max_shift:
        Leave out pairs that are shifted by more than this, in LR pixels beyond the common shift.
    output:
        Folder for doctor.json, doctor.html and drop.txt, the list of files to leave out.
    cluster:
        Check on all machines of a Ray cluster, each pair on one core: its address, such as
        10.0.0.5:6379, or local. Needs pip install 'ibsd[cluster]'.
    force:
        Replace these three files if they exist.
    json:
        Print doctor.json instead of a table.
    """
    require_folders("doctor", pairs, lr, hr)
    if scale is not None:
        require_scale("--scale", scale)
    require("--max-shift", max_shift, max_shift > 0, "above 0")
    if cluster is not None:
        require_ray()
    from ibsd.cli.terminal import print_line, progress_bar
    from ibsd.commands.doctor import NAMES, examine_pairs, write_checkup

    targets = [output / name for name in NAMES] if output else []
    refuse_existing(targets, force)
    if output:
        make_folder(output)
    with progress_bar("pairs") as on_pair:
        checkup = examine_pairs(pairs, lr, hr, scale, max_shift, on_pair, cluster)
    if output:
        write_checkup(checkup, output, (pairs or lr or output).absolute().name, pairs)
    if json:
        print(json_text(checkup.as_json()), end="")
    else:
        show_doctor(checkup, targets)
        if checkup.drop:
            drop = output / "drop.txt" if output else "FILE"
            first = "" if output else "add -o FOLDER for drop.txt; "
            print_line(f"{first}ibsd specialise and ibsd train obey it: data.drop={drop}")
    return 2 if "unchecked" in checkup.counts() else 0


def show_doctor(checkup: Checkup, targets: list[Path]) -> None:
    """The table, on the terminal."""
    from ibsd.cli.terminal import output_console, print_line, text_table
    from ibsd.reporting.doctor import (
        PAIR_COLUMNS,
        folder_summary,
        pair_row,
        problem_counts,
        worst_first,
    )

    console = output_console()
    for name, value in folder_summary(checkup):
        print_line(f"{name}: {value}")
    if reason := checkup.one_reason:
        print_line(f"all {len(checkup.pairs)} pairs have one problem: {reason}")
    elif bad := worst_first(checkup):
        console.print()
        rows = map(pair_row, bad[:MOST_ROWS])
        console.print(text_table(PAIR_COLUMNS, rows, left=("set", "problem")))
        if len(bad) > MOST_ROWS:
            print_line(f"and {counted(len(bad) - MOST_ROWS, 'more pair')}")
    console.print()
    print_line("; ".join(problem_counts(checkup)) or "no problem in these pairs")
    print_line(f"to leave out: {counted(len(checkup.drop), 'file')}")
    if targets:
        print_line(f"written: {', '.join(map(str, targets))}")
