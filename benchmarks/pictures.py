"""Writes the pictures of README and docs (docs/pictures) from committed results: before and after
by the weights in the package, the camera matrix and the course of the bound from
benchmarks/compare-cameras, and ladders of noise and JPEG from weights_safety.py; with `--check`
only compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ibsd.commands.compare import stored_results
from ibsd.comparison.results import Results
from ibsd.data.samples import UPSCALING_SAMPLE, sample_pair
from ibsd.evaluation.scores import BICUBIC
from ibsd.images.rgb import bicubic, read_rgb, to_array, to_tensor, write_rgb
from ibsd.reporting.matrix import camera_matrix, matrix_drawing
from ibsd.reporting.pictures import before_after
from ibsd.reporting.plots import Panel, Series, looks, panels_drawing
from ibsd.students import load_student

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"
WEIGHTS, SCALE = "imdn-safe-x4", 4
LADDERS = ROOT / "benchmarks/results/peers-ladders-1cpu-2026-11-29.json"
NEWER_LADDERS = ROOT / "benchmarks/results/safe-x4-1cpu-2026-11-30.json"
"""The same pictures by the file shipped since: its curves replace those of its name."""
SETTING, ARMS = "nikon-to-canon", {"plain": "watch", "IBSD": "ibsd"}
"""`watch` is plain training bit for bit, with estimators that only look on: so plain has a bound
too."""
MATRIX_ARMS = (
    "plain",
    "aa",
    "longer",
    "soft-target-only",
    "information-only",
    "ibsd",
    "wavelet-to-hr-1",
    "ibsd-hf-1",
)


def main() -> int:
    runs = ROOT / "benchmarks" / "compare-cameras"
    results = stored_results(ROOT / "configs/compare-cameras.toml", [f'compare.folder="{runs}"'])
    drawings = {
        "cameras.svg": cameras(results),
        "bound.svg": bound(results),
        "ladders.svg": ladders(*(read_ladders(path) for path in (LADDERS, NEWER_LADDERS))),
    }
    picture = upscaled()
    if "--check" in sys.argv:
        stale = [
            name
            for name, svg in drawings.items()
            if (FOLDER / name).read_text(encoding="utf-8") != svg
        ]
        there = read_rgb(FOLDER / "before-after.png").astype(float)
        if (
            there.shape != picture.shape or abs(there - picture).mean() > 0.5
        ):  # processors differ in the last level
            stale.append("before-after.png")
        for name in stale:
            print(
                f"docs/pictures/{name} is not what the results give: "
                "run python benchmarks/pictures.py",
                file=sys.stderr,
            )
        return 1 if stale else 0
    for name, svg in drawings.items():
        (FOLDER / name).write_text(svg, encoding="utf-8")
    write_rgb(FOLDER / "before-after.png", picture)
    return 0


def upscaled() -> np.ndarray:
    """The photograph that the package keeps for upscaling, degraded as by a small camera, by
    bicubic and by the weights in the package."""
    torch.set_num_threads(1)
    lr = to_tensor(sample_pair(UPSCALING_SAMPLE, SCALE)[0])
    with torch.inference_mode():
        before, after = to_array(bicubic(lr, SCALE)), to_array(load_student(WEIGHTS)(lr))
    return before_after(before, after, ("bicubic", f"ibsd upscale ({WEIGHTS})"))


def cameras(results: Results) -> str:
    """Gain over bicubic on the camera that was trained on and on the other one."""
    matrix = camera_matrix(results)
    kept = [
        (arm, cells)
        for arm, cells in zip(matrix.rows, matrix.cells, strict=True)
        if arm in MATRIX_ARMS
    ]
    columns = [
        f"{test} by {setting.split('-to-')[0]}"
        for setting, content in results.design.settings.items()
        for test in content.tests
    ]
    title = "PSNR-Y in dB above bicubic: scored on ... by networks trained on ..."
    shown = replace(
        matrix,
        rows=[arm for arm, _ in kept],
        cells=[cells for _, cells in kept],
        columns=columns,
        title=title,
    )
    return matrix_drawing(shown).standalone()


def bound(results: Results) -> str:
    """The bound over training, averaged over the links."""
    colours = looks(ARMS, neutral="plain")
    series: list[Series] = []
    for name, arm in ARMS.items():
        [course] = [
            course for course in results.histories if (course.setting, course.arm) == (SETTING, arm)
        ]
        links = [
            values for figure, values in course.diagnostics.items() if figure.startswith("bound/")
        ]
        means = [float(np.mean(values)) for values in np.asarray(links, dtype=float).T]
        series.append(Series(name, list(zip(course.steps, means, strict=True)), colours[name]))
    panel = Panel("What layers tell of each other", series, "step", "bound, nats per element")
    drawing = panels_drawing([panel])
    assert drawing is not None, f"no bound was logged in {SETTING}"
    return drawing.standalone()


Ladders = Mapping[str, Mapping[str, Mapping[str, float]]]
"""{ladder: {step: {method: PSNR-Y over bicubic}}}"""


def read_ladders(path: Path) -> Ladders:
    return json.loads(path.read_text())["ladders"]


def ladders(found: Ladders, newer: Ladders) -> str:
    """Gain over bicubic of each network, by strength of the noise and by JPEG quality."""
    panels: list[Panel] = []
    for ladder, (title, across) in {
        "noise": ("Noise", "sigma, levels of 255"),
        "jpeg": ("JPEG", "quality"),
    }.items():
        rungs = {step: {**rung, **newer[ladder][step]} for step, rung in found[ladder].items()}
        methods = [name for name in next(iter(rungs.values())) if name != BICUBIC]
        series = [
            Series(
                name.removeprefix("Real-"),
                [(k, rung[name]) for k, rung in enumerate(rungs.values())],
            )
            for name in methods
        ]
        panels.append(Panel(title, series, across, "PSNR-Y over bicubic, dB", list(rungs)))
    drawing = panels_drawing(panels)
    assert drawing is not None
    return drawing.standalone()


if __name__ == "__main__":
    sys.exit(main())
