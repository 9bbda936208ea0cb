"""`ibsd evaluate`: weight files scored on pairs, bicubic always beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.commands.evaluate import (
    Split,
    common_scale,
    find_split,
    load_students,
)
from ibsd.reporting.format import difference_text, is_better, metric_title, score_text
from ibsd.system import make_folder, write_whole
from ibsd.types import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from ibsd.data.pairs import Pair
    from ibsd.evaluation.scores import ScoreTable
    from ibsd.students import Student
    from ibsd.types import Scale

Flag = Parameter(negative="")


def evaluate(
    *paths: Path,
    split: Split | None = None,
    lr: Path | None = None,
    hr: Path | None = None,
    matrix: Path | None = None,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    force: Annotated[bool, Flag] = False,
    lpips: Annotated[bool, Parameter(negative="--no-lpips")] = True,
    device: str = "auto",
    json: Annotated[bool, Flag] = False,
) -> None:
    """Score weight files on pairs, under every protocol, beside bicubic interpolation.

    For example:

    $ ibsd evaluate ibsd.safetensors plain.safetensors photos/ -o scores/

    $ ibsd evaluate last.safetensors --lr camera/small --hr camera/large

    $ ibsd evaluate imdn-x4 --matrix photographs/ -o scores/

    Parameters
    ----------
    paths:
        Weight files, then the folder of pairs: test_LR, test_HR, ... or LR and HR
        in it, or RealSR or DRealSR as distributed.
    split:
        Which pairs of a folder with several sets; test unless given.
    lr:
        Folder of LR images, instead of the folder of pairs.
    hr:
        Folder of HR images.
    matrix:
        Folder of sharp photographs, instead of pairs: they are degraded by every
        family (blur shapes, noise, halo, JPEG, presets), a line each; -o writes matrix.json.
    output:
        Folder for scores.json and scores.csv, which hold every image.
    force:
        Replace scores.json and scores.csv if they exist.
    lpips:
        Compute LPIPS, the slowest of the metrics.
    device:
        auto, cpu, cuda or cuda:0.
    json:
        Print scores.json instead of tables.
    """
    if (lr is None) != (hr is None):
        raise InputError("--lr and --hr go together: give both folders")
    if matrix is not None and (lr is not None or split is not None):
        raise InputError("--matrix makes its own pairs: leave out --lr, --hr and --split")
    files, folder = (paths, None) if lr or matrix else (paths[:-1], paths[-1] if paths else None)
    if not files:
        raise InputError(
            "something is missing: name one or more weight files and then the folder of pairs, "
            "as ibsd evaluate --help shows"
        )
    from ibsd.cli.terminal import output_console, refuse_existing, status_console

    names = ("matrix.json",) if matrix else ("scores.json", "scores.csv")
    targets = [output / name for name in names] if output else []
    refuse_existing(targets, force)
    students = load_students(files, device)
    scale = common_scale(files, list(students.values()))
    if matrix is not None:
        print_matrix(students, matrix, scale, lpips, targets, json)
        return
    if lr and hr:
        from ibsd.data.pairs import find_pairs

        pairs = find_pairs(lr, hr)
    else:
        assert folder is not None
        pairs = find_split(
            folder, split, scale, lambda sentence: status_console().print(sentence, markup=False)
        )
    table = score_networks(students, pairs, scale, lpips)
    if output:
        make_folder(output)
        for target, text in zip(targets, (table.to_json(), table.to_csv()), strict=True):
            write_whole(target, text)
    if json:
        print(table.to_json(), end="")
        return
    console = output_console()
    console.print(image_table(table))
    console.print()
    console.print(means(table))
    if output:
        console.print(f"\nwritten: {targets[0]} and {targets[1]}", markup=False)


def print_matrix(
    students: dict[str, Student],
    folder: Path,
    scale: Scale,
    lpips: bool,
    targets: Sequence[Path],
    as_json: bool,
) -> None:
    """Scores under every family, a line each: PSNR-Y (basicsr) and difference to bicubic, and
    LPIPS; written and printed."""
    from json import dumps

    from rich.table import Table

    from ibsd.cli.terminal import output_console, status_console
    from ibsd.data.degraded_patches import find_photographs
    from ibsd.evaluation.matrix import degradation_matrix

    console = status_console()

    def log(family: str) -> None:
        if console.is_terminal:
            console.print(f"scored: {family}", markup=False)

    device = next(next(iter(students.values())).parameters()).device
    tables = degradation_matrix(
        students, find_photographs(folder), scale, device=device, lpips=lpips, on_family=log
    )
    means_of = {family: table.means for family, table in tables.items()}
    text = dumps(means_of, indent=1) + "\n"
    if targets:
        make_folder(targets[0].parent)
        write_whole(targets[0], text)
    if as_json:
        print(text, end="")
        return
    shown = Table(
        title=f"PSNR-Y under each degradation at x{scale}, difference to bicubic",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for header in ("degradation", "bicubic", *students):
        shown.add_column(header, justify="left" if header == "degradation" else "right")
    for family, means in means_of.items():
        base, *own = (means[method]["basicsr-y"]["psnr_y"] for method in ("bicubic", *students))
        shown.add_row(
            family,
            score_text("psnr_y", base),
            *(f"{score_text('psnr_y', x)} {coloured('psnr_y', x - base)}" for x in own),
        )
    output_console().print(shown)


def score_networks(
    students: dict[str, Student], pairs: Sequence[Pair], scale: Scale, lpips: bool
) -> ScoreTable:
    """Checks the pairs and scores the networks on them, with a bar."""
    from rich.progress import track

    from ibsd.cli.terminal import status_console
    from ibsd.data.integrity import check_pairs
    from ibsd.evaluation.scores import evaluate as evaluate_methods

    device = next(next(iter(students.values())).parameters()).device
    check_pairs(pairs, scale)
    console = status_console()
    images = iter(
        track(pairs, "scoring", console=console, transient=True) if console.is_terminal else pairs
    )
    next(images)
    return evaluate_methods(
        students,
        pairs,
        scale,
        device,
        lpips,
        on_image=lambda done, name: next(images, None) and None,
    )


def means(table: ScoreTable) -> Table:
    """Means over the images: a line per metric, a column per method with its difference to
    bicubic."""
    from rich.table import Table

    images = f"{table.num_images} image{'' if table.num_images == 1 else 's'}"
    shown = Table(
        title=f"means over {images} at x{table.scale}, and difference to bicubic",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for header in ("protocol", "metric"):
        shown.add_column(header, style="dim" if header == "protocol" else None)
    for method in table.methods:
        shown.add_column(method, justify="right")
    figures = table.means
    previous = ""
    for protocol, metric in table.columns:
        base = figures[table.methods[0]][protocol][metric]
        cells = [score_text(metric, base)]
        for method in table.methods[1:]:
            value = figures[method][protocol][metric]
            cells.append(f"{score_text(metric, value)} {coloured(metric, value - base)}")
        shown.add_row("" if protocol == previous else protocol, metric_title(metric), *cells)
        previous = protocol
    shown.add_row(
        "",
        "seconds an image",
        *(f"{table.seconds[method] / table.num_images:.2f}" for method in table.methods),
        style="dim",
    )
    return shown


def image_table(table: ScoreTable, protocol: str = "basicsr-y", metric: str = "psnr_y") -> Table:
    """One metric of every image."""
    from rich.table import Table

    shown = Table(
        title=f"{metric_title(metric)} ({protocol})", title_justify="left", box=None, pad_edge=False
    )
    shown.add_column("image")
    rows: dict[str, list[str]] = {}
    for method in table.methods:
        shown.add_column(method, justify="right")
    for row in table.rows:
        rows.setdefault(row.image, []).append(score_text(metric, row.scores[protocol][metric]))
    for image, cells in rows.items():
        shown.add_row(image, *cells)
    return shown


def coloured(metric: str, difference: float) -> str:
    """A difference, green where it is for the better and red where for the worse."""
    text = difference_text(metric, difference)
    return (
        f"[{'green' if is_better(metric, difference) else 'red'}]{text}[/]" if float(text) else text
    )
