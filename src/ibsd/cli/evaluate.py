"""`ibsd evaluate`: weight files scored on pairs, bicubic always beside them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.cli.options import Flag, Output
from ibsd.cluster import require_ray
from ibsd.commands.evaluate import Means, Split
from ibsd.reporting.format import difference_text, is_better, metric_title, score_text
from ibsd.system import make_folder, refuse_existing
from ibsd.types import InputError, counted

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ibsd.data.pairs import Pair
    from ibsd.evaluation.scores import ScoreTable
    from ibsd.students import Student
    from ibsd.types import Scale


def evaluate(
    *paths: Path,
    split: Split | None = None,
    lr: Path | None = None,
    hr: Path | None = None,
    matrix: Path | None = None,
    output: Output = None,
    force: Flag = False,
    lpips: Annotated[bool, Parameter(negative="--no-lpips")] = True,
    device: str = "auto",
    cluster: str | None = None,
    json: Flag = False,
) -> int:
    """Score weight files on pairs, under every protocol, beside bicubic interpolation.

    For example:

    $ ibsd evaluate ibsd.safetensors plain.safetensors photos/ -o scores/

    $ ibsd evaluate last.safetensors --lr camera/small --hr camera/large

    $ ibsd evaluate imdn-x4 --matrix photographs/ -o matrix/

    Parameters
    ----------
    paths:
        Weight files, then the folder of pairs: with test_LR and test_HR, or LR and HR, or RealSR,
        DRealSR or a benchmark set such as Set5 as distributed.
    split:
        Which pairs of a folder with several sets. Default: test.
    lr:
        Folder of LR images, instead of the folder of pairs.
    hr:
        Folder of HR images.
    matrix:
        Folder of sharp photographs, instead of pairs. Each is degraded by every family (blur
        shapes, noise, halo, JPEG, presets); -o writes matrix.json.
    output:
        Folder for scores.json and scores.csv, with the scores of every image.
    force:
        Replace these files if they exist.
    lpips:
        Compute LPIPS, the slowest metric.
    device:
        auto, cpu, cuda or cuda:0.
    cluster:
        Score on all machines of a Ray cluster, each pair on one core: its address, such as
        10.0.0.5:6379, or local. Pairs that cannot be scored are named at the end. Needs pip install
        'ibsd[cluster]'.
    json:
        Print the JSON file instead of tables.
    """
    if (lr is None) != (hr is None):
        raise InputError("--lr and --hr go together: give both folders")
    if matrix is not None and (lr is not None or split is not None):
        raise InputError("--matrix makes its own pairs: leave out --lr, --hr and --split")
    if lr is not None and split is not None:
        raise InputError("--lr and --hr name the images themselves: leave out --split")
    if cluster is not None:
        require_ray()
        if matrix is not None or device not in ("auto", "cpu"):
            raise InputError("--cluster scores pairs on cores: leave out --matrix and --device")
        device = "cpu"
    files, folder = (paths, None) if lr or matrix else (paths[:-1], paths[-1] if paths else None)
    if not files:
        raise InputError(
            "name one or more weight files, then the folder of pairs, as ibsd evaluate --help shows"
        )
    from ibsd.commands.evaluate import common_scale, load_students

    names = ("matrix.json",) if matrix else ("scores.json", "scores.csv")
    targets = [output / name for name in names] if output else []
    refuse_existing(targets, force)
    students = load_students(files, device)
    scale = common_scale(files, list(students.values()))
    if matrix is not None:
        return on_matrix(students, matrix, scale, lpips, targets, json)
    if lr and hr:
        from ibsd.data.pairs import find_pairs

        pairs = find_pairs(lr, hr)
    else:
        from ibsd.cli.terminal import log
        from ibsd.commands.evaluate import find_split

        assert folder is not None
        pairs = find_split(folder, split, scale, log)
    return on_pairs(files, students, pairs, scale, lpips, cluster, targets, json)


def on_matrix(
    students: dict[str, Student],
    photographs: Path,
    scale: Scale,
    lpips: bool,
    targets: list[Path],
    json: bool,
) -> int:
    """Scores under every family, writes them into the targets, and shows them."""
    from ibsd.cli.terminal import output_console, progress_bar
    from ibsd.commands.evaluate import score_matrix, write_texts

    make_folder_of(targets)
    with progress_bar("families") as on_family:
        means, text = score_matrix(students, photographs, scale, lpips, on_family)
    write_texts(targets, [text])
    if json:
        print(text, end="")
    else:
        title = f"PSNR-Y under each degradation at x{scale}, difference to bicubic"
        output_console().print(matrix_means(means, [*students], title))
    return 0


def on_pairs(
    files: Sequence[Path],
    students: dict[str, Student],
    pairs: Sequence[Pair],
    scale: Scale,
    lpips: bool,
    cluster: str | None,
    targets: list[Path],
    json: bool,
) -> int:
    """Scores on pairs, writes them into the targets, and shows them. Returns the exit code."""
    from ibsd.cli.terminal import log, output_console, print_line, printable, progress_bar
    from ibsd.commands.evaluate import (
        score_on_cluster,
        score_pairs,
        scores_with_places,
        unscored,
        write_texts,
    )

    make_folder_of(targets)
    failed: dict[str, str] = {}
    with progress_bar("images") as on_image:
        if cluster is None:
            table = score_pairs(students, pairs, scale, lpips, on_image, log)
        else:
            table, failed = score_on_cluster(files, pairs, scale, lpips, cluster, on_image)
    text = scores_with_places(table, files, pairs, failed)
    write_texts(targets, [text, table.to_csv()])
    if json:
        print(text, end="")
    else:
        console = output_console()
        console.print(image_table(table))
        console.print()
        console.print(means_table(table))
        if targets:
            print_line(f"\nwritten: {targets[0]} and {targets[1]}")
    if failed:
        print(printable(f"ibsd: {unscored(failed, len(pairs))}"), file=sys.stderr)
        return 2
    return 0


def make_folder_of(targets: Sequence[Path]) -> None:
    """Before scoring, which may take hours. InputError if it cannot be written to."""
    if targets:
        make_folder(targets[0].parent)


def matrix_means(means_of: Mapping[str, Means], students: list[str], title: str) -> Table:
    """PSNR-Y (basicsr) of each family, a row each."""
    from ibsd.cli.terminal import text_table

    rows: list[list[str | Text]] = []
    for family, means in means_of.items():
        scores = [means[method]["basicsr-y"]["psnr_y"] for method in ("bicubic", *students)]
        rows.append([family, *compared("psnr_y", scores)])
    return text_table(("degradation", "bicubic", *students), rows, title)


def means_table(table: ScoreTable) -> Table:
    """Means over the images: a row per metric, a column per method."""
    from rich.text import Text

    from ibsd.cli.terminal import text_table

    means = table.means
    rows: list[list[str | Text]] = []
    shown = ""
    for protocol, metric in table.columns:
        scores = [means[method][protocol][metric] for method in table.methods]
        title = "" if protocol == shown else Text(protocol, "dim")
        rows.append([title, metric_title(metric), *compared(metric, scores)])
        shown = protocol
    seconds = (f"{table.seconds[method] / table.num_images:.2f}" for method in table.methods)
    rows.append([Text(cell, "dim") for cell in ("", "seconds an image", *seconds)])
    images = counted(table.num_images, "image")
    title = f"means over {images} at x{table.scale}, and difference to bicubic"
    return text_table(("protocol", "metric", *table.methods), rows, title, left=("metric",))


def image_table(table: ScoreTable) -> Table:
    """PSNR-Y (basicsr) of every image."""
    from ibsd.cli.terminal import text_table

    rows: dict[str, list[str]] = {}
    for row in table.rows:
        cell = score_text("psnr_y", row.scores["basicsr-y"]["psnr_y"])
        rows.setdefault(row.image, [row.image]).append(cell)
    title = f"{metric_title('psnr_y')} (basicsr-y)"
    return text_table(("image", *table.methods), rows.values(), title)


def compared(metric: str, scores: list[float]) -> list[str | Text]:
    """The first score, then each other with its difference to the first: green if better, red if
    worse."""
    from rich.text import Text

    first, *others = scores
    cells: list[str | Text] = [score_text(metric, first)]
    for score in others:
        difference = difference_text(metric, score - first)
        colour = ""
        if float(difference):
            colour = "green" if is_better(metric, score - first) else "red"
        cells.append(Text.assemble(f"{score_text(metric, score)} ", (difference, colour)))
    return cells
