"""`ibsd doctor`: pairs examined before anyone trains on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.system import make_folder, write_whole
from ibsd.types import InputError

if TYPE_CHECKING:
    from ibsd.doctor.checkup import Checkup

Flag = Parameter(negative="")
NAMES = ("doctor.json", "doctor.html", "drop.txt")
MOST_ROWS = 40


def doctor(
    pairs: Path | None = None,
    /,
    *,
    lr: Path | None = None,
    hr: Path | None = None,
    scale: int | None = None,
    max_shift: float = 0.5,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    force: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Examine pairs before training on them: files, alignment, colours, leaks.

    For example:

    $ ibsd doctor photos/ -o checkup/

    $ ibsd train run.toml data.pairs=photos/ data.drop=checkup/drop.txt

    Of every pair: whether it can be read, sub-pixel shift, rotation and colour
    gain between LR and HR, saturation, the PSNR that its misalignment allows;
    flat pictures, pairs that do not show the same, and pictures that occur
    twice, in training and test above all.

    Parameters
    ----------
    pairs:
        Folder of pairs in any layout that ibsd train reads.
    lr:
        Folder of LR images, instead of the folder of pairs.
    hr:
        Folder of HR images.
    scale:
        2, 3 or 4; by default the one that the pictures have.
    max_shift:
        LR pixels beyond the shift that all pairs share, from which on a pair is to be left out.
    output:
        Folder for doctor.json, doctor.html and drop.txt, the files to leave out.
    force:
        Replace these three if they exist.
    json:
        Print doctor.json instead of a table.
    """
    if (pairs is None) == (lr is None) or (lr is None) != (hr is None):
        raise InputError(
            "name the folder of pairs, or two folders with --lr and --hr, "
            "as ibsd doctor --help shows"
        )
    from ibsd.types import SCALES

    if scale is not None and scale not in SCALES:
        raise InputError(f"--scale is {scale}; it must be 2, 3 or 4")
    if not max_shift > 0:
        raise InputError(f"--max-shift is {max_shift}; it must be above 0")
    from json import dumps

    import ibsd
    from ibsd.cli.terminal import output_console, refuse_existing
    from ibsd.doctor.drop_list import drop_list
    from ibsd.reporting.doctor import doctor_page

    targets = [output / name for name in NAMES] if output else []
    refuse_existing(targets, force)
    checkup = followed(pairs, lr, hr, scale, max_shift)
    text = dumps(checkup.as_json(), indent=1) + "\n"
    if output:
        make_folder(output)
        name = (pairs or lr or output).absolute().name
        contents = (
            text,
            doctor_page(name, checkup, ibsd.__version__),
            drop_list(checkup.drop, pairs),
        )
        for target, content in zip(targets, contents, strict=True):
            write_whole(target, content)
    if json:
        print(text, end="")
        return
    show_doctor(checkup, targets)
    if checkup.drop and not output:
        output_console().print(
            "add -o FOLDER for drop.txt, the list of files to leave out, "
            "which ibsd train reads: data.drop=FILE"
        )


def followed(
    pairs: Path | None, lr: Path | None, hr: Path | None, scale: int | None, max_shift: float
) -> Checkup:
    """The checkup, with a bar on a terminal."""
    import torch
    from rich.progress import Progress

    from ibsd.cli.terminal import status_console
    from ibsd.doctor.checkup import check_folder
    from ibsd.doctor.pair_checkup import CheckupLimits

    torch.set_num_threads(1)  # pairs are small: more threads wait for each other
    console = status_console()
    limits = CheckupLimits(shift_px=max_shift)
    if not console.is_terminal:
        return check_folder(pairs, lr, hr, scale, limits)
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("pairs")
        return check_folder(
            pairs,
            lr,
            hr,
            scale,
            limits,
            lambda done, total: bars.update(task, completed=done, total=total),
        )


def show_doctor(checkup: Checkup, targets: list[Path]) -> None:
    """The table, on the terminal."""
    from rich.table import Table

    from ibsd.cli.terminal import output_console
    from ibsd.reporting.doctor import (
        PAIR_COLUMNS,
        folder_summary,
        pair_row,
        problem_counts,
        worst_first,
    )
    from ibsd.reporting.format import count_text

    console = output_console()
    for name, value in folder_summary(checkup):
        console.print(f"{name}: {value}", markup=False)
    bad = worst_first(checkup)
    if bad:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in PAIR_COLUMNS:
            table.add_column(
                heading, justify="left" if heading in ("pair", "set", "problem") else "right"
            )
        for health in bad[:MOST_ROWS]:
            table.add_row(*(cell.replace("[", "\\[") for cell in pair_row(health)))
        console.print()
        console.print(table)
        if len(bad) > MOST_ROWS:
            console.print(f"and {count_text(len(bad) - MOST_ROWS, 'more pair')}")
    console.print()
    console.print(
        "; ".join(problem_counts(checkup)) or "nothing that speaks against training on these pairs",
        markup=False,
    )
    console.print(f"to leave out: {count_text(len(checkup.drop), 'file')}", markup=False)
    if targets:
        console.print(f"written: {', '.join(map(str, targets))}", markup=False)
