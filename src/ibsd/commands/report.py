"""`ibsd report` without a terminal: one page about runs, a comparison, scores or a matrix."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ibsd.commands.pictures import loaded, pictures_of, scenes, spread
from ibsd.commands.run_record import RUN_FILE
from ibsd.comparison.results import results_from_table
from ibsd.data.pairs import Pair
from ibsd.efficiency.count import OUTPUT, count_cost
from ibsd.reporting import html
from ibsd.reporting.comparison import comparison_html
from ibsd.reporting.matrix import degradation_matrices, matrix_table
from ibsd.reporting.pictures import scenes_section
from ibsd.reporting.scores import score_table
from ibsd.reporting.stored_run import read_run_folder, with_distinct_names
from ibsd.reporting.training import training_page
from ibsd.students import Student, load_student
from ibsd.system import write_whole
from ibsd.training.result import AVERAGED, BEST_FILE, MEAN, WEIGHT_FILES
from ibsd.types import InputError

Content = TypeVar("Content")

COMPARISON = "results.json"
SCORES = "scores.json"
MATRIX = "matrix.json"
KINDS = (RUN_FILE, COMPARISON, SCORES, MATRIX)
"""Files that say what a folder holds."""
NAME = "report.html"


def report(inputs: Sequence[Path], target: Path, pictures: bool = True) -> None:
    """Writes the page of everything that the folders hold.

    Args:
        inputs: run folders (`ibsd train`), one folder of a comparison (`ibsd compare`), folders of
            scores or of a matrix (`ibsd evaluate -o`), of scores of `ibsd specialise` too.
        pictures: whether networks of runs or scores upscale some, which takes seconds.

    Errors: InputError for a folder that holds none of these, for several comparisons, and where the
    page cannot be written.
    """
    holding = {kind: [folder for folder in inputs if (folder / kind).is_file()] for kind in KINDS}
    for folder in inputs:
        if not any(folder in folders for folders in holding.values()):
            raise InputError(
                f"{folder} holds no {RUN_FILE}, {COMPARISON}, {SCORES} or {MATRIX}: "
                "name folders of ibsd train, compare or evaluate"
            )
    matrices = [
        matrix
        for folder in holding[MATRIX]
        for matrix in read_stored(folder / MATRIX, degradation_matrices)
    ]
    tables = [read_stored(folder / SCORES, score_tables) for folder in holding[SCORES]]
    if comparisons := holding[COMPARISON]:
        if len(comparisons) > 1 or holding[RUN_FILE]:
            raise InputError(
                f"{comparisons[0]} is a comparison, which fills a page: make another for the rest"
            )
        results = read_stored(comparisons[0] / COMPARISON, results_from_table)
        write_whole(target, comparison_html(results, matrices=matrices, scores=tables))
    elif holding[RUN_FILE]:
        report_runs(holding[RUN_FILE], target, [*tables, *map(matrix_table, matrices)], pictures)
    else:
        shown = [
            read_stored(folder / SCORES, score_pictures) for folder in holding[SCORES] if pictures
        ]
        sections = [
            html.section("Scores", *tables),
            *shown,
            html.section("Degradations", *map(matrix_table, matrices)),
        ]
        lead = f"From {', '.join(folder.absolute().name for folder in inputs)}."
        write_whole(target, html.page("Scores", "ibsd evaluate", lead, sections))


def score_tables(content: Mapping[str, Any]) -> str:
    """The table of `ibsd evaluate`, or those of `ibsd specialise`, one for each set of images."""
    if "means" in content or not content:
        return score_table(content)
    return "".join(html.part(title, score_table(table)) for title, table in content.items())


def score_pictures(table: Mapping[str, Any]) -> str:
    """Some of the scored images by every method; "" where files have moved or changed since."""
    try:
        students = {name: load_student(path) for name, path in table["weights"].items()}
        some = [Pair(name, Path(lr), Path(hr)) for name, lr, hr in spread(table["pairs"])]
        pairs = [loaded(pair) for pair in some]
    except (InputError, OSError, KeyError):
        return ""
    scale = table["scale"]
    if any(student.spec.scale != scale for student in students.values()) or any(
        (hr.shape[0], hr.shape[1]) != (scale * lr.shape[0], scale * lr.shape[1])
        for _, lr, hr in pairs
    ):
        return ""
    return scenes_section(scenes(students, pairs), about="Some of the scored images.")


def report_runs(
    folders: Sequence[Path], target: Path, scores: Sequence[str] = (), pictures: bool = True
) -> Path:
    """Writes the page of one run or of several of one scale beside each other.

    Args:
        scores: HTML of tables of scores to take in.
        pictures: whether to upscale some, which takes seconds.

    Errors: InputError for a folder that holds no run, for scales that differ, and where the page
    cannot be written.
    """
    runs = [read_run_folder(folder) for folder in folders]
    if len(runs) > 1:
        runs = with_distinct_names(runs)
        scales = {run.config["student"]["scale"] for run in runs}
        if len(scales) > 1:
            raise InputError(
                f"{folders[0]} and others have different scales: make one report for each scale"
            )
    students = {
        run.name: student
        for run, folder in zip(runs, folders, strict=True)
        if (student := finished_student(folder))
    }
    runs = [replace(run, inference_cost=inference_cost(students.get(run.name))) for run in runs]
    shown = ""
    if students and pictures:
        pairs, about = pictures_of(runs[0])
        names = students if len(runs) > 1 else [runs[0].config["objective"]["name"]]
        methods = dict(zip(names, students.values(), strict=True))
        shown = scenes_section(scenes(methods, pairs), about=about)
    write_whole(target, training_page(runs, shown, scores))
    return target


def finished_student(folder: Path) -> Student | None:
    """The weights to use: the mean with the start if the run made one, else the running average at
    the last step, else at its best on val; None if there is none yet."""
    for name in (WEIGHT_FILES[MEAN], WEIGHT_FILES[AVERAGED], BEST_FILE):
        if (folder / name).is_file():
            return load_student(folder / name)
    return None


def inference_cost(student: Student | None) -> list[tuple[str, str]]:
    """What the network takes to upscale."""
    if student is None:
        return []
    spec = student.spec
    cost = count_cost(spec.name, spec.scale, **spec.options)
    return [
        ("parameters", f"{cost.parameters:,}"),
        (f"multiply-adds for {OUTPUT[1]} x {OUTPUT[0]}", f"{cost.multiply_adds / 1e9:,.1f} G"),
    ]


def read_stored(path: Path, parse: Callable[[Mapping[str, Any]], Content]) -> Content:
    """The content of a JSON file. InputError naming it if it is damaged."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration) as error:
        reason = type(error).__name__
        raise InputError(f"{path} is damaged or too old ({reason}): make it again") from None
