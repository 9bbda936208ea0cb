"""The course of training as SVG: the information plane of every arm, and health figures of all arms
side by side."""

from __future__ import annotations

from collections.abc import Sequence

from ibsd.comparison.results import History, Results
from ibsd.reporting.curves import Series
from ibsd.reporting.information_plane import information_plane
from ibsd.reporting.panels import Panel, panels_svg

SHOWN = ("scale/", "gradient_share/", "gradient_cosine/", "soft_target/flipped")
"""Names, or beginnings of names, in this order."""


def plane_plot(results: Results) -> str:
    """All of `plane_panels` in one file; "" where there is none."""
    return panels_svg(plane_panels(results))


def course_plot(results: Results) -> str:
    """All of `course_panels` in one file; "" where there is none."""
    return panels_svg(course_panels(results))


def plane_panels(results: Results) -> list[Panel]:
    """One panel per setting and arm whose runs had estimators that were logged, one path per
    link."""
    panels = []
    for course in results.histories:
        rows = [
            {name: values[k] for name, values in course.diagnostics.items()}
            for k in range(len(course.steps))
        ]
        panels.append(
            Panel(
                f"{course.arm} ({course.setting})",
                information_plane(rows),
                "log-likelihood",
                "bound",
            )
        )
    return panels


def course_panels(results: Results) -> list[Panel]:
    """One panel per setting and figure that was logged, one curve per arm."""
    panels = []
    for setting in results.design.settings:
        courses = [course for course in results.histories if course.setting == setting]
        for name in shown(courses):
            curves = [
                Series(course.arm, list(zip(course.steps, course.diagnostics[name], strict=True)))
                for course in courses
                if name in course.diagnostics
            ]
            panels.append(Panel(f"{name} ({setting})", curves, "step", ""))
    return panels


def shown(courses: Sequence[History]) -> list[str]:
    names = sorted({name for course in courses for name in course.diagnostics})
    return [name for beginning in SHOWN for name in names if name.startswith(beginning)]
