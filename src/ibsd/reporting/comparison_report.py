"""The page of a comparison as HTML: what its Markdown page says, with drawings in it, pictures
before and after, and the camera matrix."""

from __future__ import annotations

from collections.abc import Sequence

from ibsd.comparison.results import Results
from ibsd.reporting import html
from ibsd.reporting.comparison_page import page as markdown_page
from ibsd.reporting.course_plots import course_panels, plane_panels
from ibsd.reporting.curves import chart
from ibsd.reporting.difference_plot import difference_plot
from ibsd.reporting.markdown import sections
from ibsd.reporting.matrix import Matrix, camera_matrix, family_matrices, matrix_table
from ibsd.reporting.panels import Panel

MATRIX = """Gain over bicubic on every set of pictures: those of the camera that was trained on (seen) and of another one (unseen). What holds up
everywhere is coloured all along its row; what has learned one camera by heart pales where it was not trained."""


def comparison_report(
    results: Results,
    remarks: str = "",
    scenes: str = "",
    matrices: Sequence[Matrix] = (),
    scores: Sequence[str] = (),
) -> str:
    """The page as text; `scenes` is HTML of the pictures before and after, `scores` of further
    tables; `matrices` follow that of the cameras."""
    drawings = {
        "differences": html.drawing(
            difference_plot(results),
            f"Differences to {results.design.baseline} with intervals; the tables say the same",
        ),
        "plane": panels(plane_panels(results)),
        "course": panels(course_panels(results)),
    }
    text = markdown_page(results, {name: name for name, html in drawings.items() if html}, remarks)
    (_, primary), *others = sections(text, drawings)
    tables = [
        matrix_table(matrix)
        for matrix in (camera_matrix(results), *family_matrices(results), *matrices)
        if matrix.rows
    ]
    design = results.design
    facts = [
        ("runs", f"{len(results.runs)}" + (f" of {len(design.names)}" if results.missing else "")),
        ("arms", f"{len(design.arms)}, held against {design.baseline}"),
        ("seeds", ", ".join(map(str, design.seeds))),
        ("primary figure", design.primary),
        ("skipped steps", str(sum(cost.skipped for cost in results.costs))),
        ("alarms", str(sum(cost.alarms for cost in results.costs))),
    ]
    parts = [
        html.facts(facts),
        primary,
        scenes,
        html.section("Matrix", *tables, about=MATRIX),
        html.section("Scores", *scores),
        *(html for _, html in others),
    ]
    lead = f"{'; '.join(setting.title for setting in design.settings.values())}."
    return html.page(design.title, "ibsd compare", lead, parts, f"Made by: {design.command}")


def panels(drawn: Sequence[Panel]) -> str:
    """Each a chart of its own, so that they find room on a phone."""
    return html.grid(
        chart(panel.title, panel.series, unit=panel.up, across=panel.across) for panel in drawn
    )
