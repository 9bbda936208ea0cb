"""`ibsd report`: one page about what other commands left in folders: runs, a comparison, scores, a
matrix of degradations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ibsd.commands.report_runs import report_runs
from ibsd.comparison.results import results_from_table
from ibsd.reporting import html
from ibsd.reporting.comparison import comparison_html
from ibsd.reporting.matrix import Matrix, degradation_matrices, matrix_table
from ibsd.reporting.scores import score_table
from ibsd.system import write_whole
from ibsd.types import InputError

RUN, COMPARISON, SCORES, MATRIX = "run.json", "results.json", "scores.json", "matrix.json"
NAME = "report.html"


def report(inputs: Sequence[Path], target: Path, pictures: bool = True) -> None:
    """Writes the page of everything that the folders hold.

    Args:
        inputs: run folders (`ibsd train`), one folder of a comparison (`ibsd compare`), folders of
            scores or of a matrix (`ibsd evaluate -o`).
        pictures: whether runs upscale some, which takes seconds.

    Errors: InputError for a folder that holds none of these, for several comparisons, and where the
    page cannot be written.
    """
    found = {
        name: [folder for folder in inputs if (folder / name).is_file()]
        for name in (RUN, COMPARISON, SCORES, MATRIX)
    }
    for folder in inputs:
        if not any(folder in folders for folders in found.values()):
            raise InputError(
                f"{folder}: holds no {RUN}, {COMPARISON}, {SCORES} or {MATRIX}: name folders that ibsd train, compare or evaluate wrote"
            )
    matrices = [matrix for folder in found[MATRIX] for matrix in read_matrices(folder / MATRIX)]
    tables = [read_scores(folder / SCORES) for folder in found[SCORES]]
    if comparisons := found[COMPARISON]:
        if len(comparisons) > 1 or found[RUN]:
            raise InputError(
                f"{comparisons[0]}: is a comparison, which fills a page: make one report for it and another for the rest"
            )
        write_whole(
            target,
            comparison_html(
                read_results(comparisons[0] / COMPARISON), matrices=matrices, scores=tables
            ),
        )
    elif found[RUN]:
        report_runs(found[RUN], target, [*tables, *map(matrix_table, matrices)], pictures)
    else:
        sections = [
            html.section("Scores", *tables),
            html.section("Degradations", *map(matrix_table, matrices)),
        ]
        write_whole(
            target,
            html.page(
                "Scores",
                "ibsd evaluate",
                f"From {', '.join(each.name for each in inputs)}.",
                sections,
            ),
        )


def read_results(path: Path) -> Any:
    return _read(path, results_from_table)


def read_matrices(path: Path) -> list[Matrix]:
    return _read(path, degradation_matrices)


def read_scores(path: Path) -> str:
    return _read(path, score_table)


def _read(path: Path, understand: Any) -> Any:
    try:
        table: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return understand(table)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        StopIteration,
    ) as error:
        raise InputError(
            f"{path}: is damaged or of another version ({type(error).__name__}); make it again"
        ) from None
