"""Charts for `ibsd register`: images for a screen, or pages to print."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from PIL import Image

from ibsd.data.pairs import image_files
from ibsd.data.samples import sample, sample_names
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.registration.charts import Picture, draw_chart
from ibsd.registration.markers import MOST_CHARTS
from ibsd.registration.opencv import require_opencv
from ibsd.system import make_folder, write_whole
from ibsd.types import InputError

PAPERS_MM = {"a4": (297, 210), "a3": (420, 297), "letter": (279, 216)}
"""{name: (width, height)}"""
DPI = 300
SCREEN = "1920x1080"
PAPER = "a4"
NUM_CHARTS = 8
"""Charts of the photographs inside the package."""


def write_charts(
    output: Path,
    kind: Literal["screen", "print"],
    size: str | None = None,
    photographs: Path | None = None,
) -> list[Path]:
    """Writes charts into a new folder, and returns its files.

    Args:
        kind: `screen` writes chart-00.png and so on, `print` writes charts.pdf at 300 dots an inch.
        size: pixels of the screen, such as 3840x2160, or a4, a3 or letter.
        photographs: folder of sharp photographs to show; by default those inside the package.

    Errors: InputError where OpenCV is missing, `output` holds something, a size is unknown, or a
    folder holds no photographs.
    """
    require_opencv()
    width, height = chart_px(kind, size)
    if os.path.lexists(output) and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output} exists already and stays as it is: name a new folder")
    pictures, num = _pictures(photographs)
    charts = [draw_chart(number, pictures, width, height) for number in range(num)]
    make_folder(output)
    if kind == "screen":
        files = [output / f"chart-{number:02}.png" for number in range(num)]
        for file, chart in zip(files, charts, strict=True):
            write_rgb(file, chart)
        return files
    file = output / "charts.pdf"
    pages = [Image.fromarray(chart) for chart in charts]
    write_whole(
        file,
        lambda stream: pages[0].save(
            stream, "PDF", resolution=DPI, save_all=True, append_images=pages[1:], quality=95
        ),
    )
    return [file]


def chart_px(kind: Literal["screen", "print"], size: str | None) -> tuple[int, int]:
    """(width, height) of a chart: ("screen", "3840x2160") -> (3840, 2160)."""
    if kind == "print":
        paper = PAPERS_MM.get((size or PAPER).lower())
        if paper is None:
            raise InputError(f"--chart-size is {size!r}: for paper take {', '.join(PAPERS_MM)}")
        return round(paper[0] / 25.4 * DPI), round(paper[1] / 25.4 * DPI)
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size or SCREEN)
    if match is None:
        raise InputError(
            f"--chart-size is {size!r}: for a screen take its pixels, such as {SCREEN}"
        )
    return int(match[1]), int(match[2])


def _pictures(photographs: Path | None) -> tuple[list[Picture], int]:
    """What the charts show, and how many charts there are."""
    if photographs is None:
        return [sample(name) for name in sample_names()], NUM_CHARTS
    files = image_files(photographs)[:MOST_CHARTS]
    return [read_rgb(file) for file in files], len(files)
