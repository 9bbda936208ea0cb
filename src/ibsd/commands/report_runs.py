"""The composition of a training's page: from run folders to their stories, to pictures before and
after, to `report.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ibsd.assembly import find_sets
from ibsd.config.parsing import build
from ibsd.config.run import Config
from ibsd.data.pairs import Pair, load_pair
from ibsd.data.samples import SPLITS, UPSCALING_SAMPLE, sample_pair
from ibsd.efficiency.count import count_cost
from ibsd.evaluation.scores import BICUBIC, LoadedPair, Method
from ibsd.images.rgb import bicubic, to_array, to_tensor
from ibsd.metrics import score
from ibsd.reporting.pictures import Scene, scenes_section
from ibsd.reporting.stored_run import StoredRun, read_run_folder, with_distinct_names
from ibsd.reporting.training import training_page
from ibsd.students import Student, load_student
from ibsd.system import write_whole
from ibsd.types import InputError, Scale

Item = TypeVar("Item")

MOST_SCENES, MOST_LR_PX = 8, 160
"""Pictures that are looked at for where methods differ most, spread over the set; of larger ones
the centre."""
OUTPUT = (720, 1280)
"""Height and width at which multiply-adds are stated, as in `ibsd students`."""


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
    stories = [read_run_folder(folder) for folder in folders]
    if len(stories) > 1:
        stories = with_distinct_names(stories)
        scales = {story.config["student"]["scale"] for story in stories}
        if len(scales) > 1:
            raise InputError(
                f"{folders[0]} and others have scales {', '.join(map(str, sorted(scales)))}: make one report for each scale"
            )
    students = {
        story.name: student
        for story, folder in zip(stories, folders, strict=True)
        if (student := finished_student(folder))
    }
    stories = [
        replace(story, inference_cost=inference_cost(students.get(story.name))) for story in stories
    ]
    shown = ""
    if students and pictures:
        pairs, what = pictures_of(stories[0])
        names = students if len(stories) > 1 else [stories[0].config["objective"]["name"]]
        shown = scenes_section(
            scenes(dict(zip(names, students.values(), strict=True)), pairs), about=what
        )
    write_whole(target, training_page(stories, shown, scores))
    return target


def finished_student(folder: Path) -> Student | None:
    """The network that came of the run: the running average at the last step, of an unfinished run
    at its best; None where there is none yet."""
    for name in ("last", "best"):
        if (path := folder / f"{name}.safetensors").is_file():
            return load_student(path)
    return None


def inference_cost(student: Student | None) -> list[tuple[str, str]]:
    """What the network takes to upscale."""
    if student is None:
        return []
    spec = student.spec
    size = -(-OUTPUT[0] // spec.scale), -(-OUTPUT[1] // spec.scale)
    cost = count_cost(spec.name, spec.scale, size, **spec.options)
    return [
        ("parameters", f"{cost.parameters:,}"),
        (f"multiply-adds for {OUTPUT[1]} x {OUTPUT[0]}", f"{cost.multiply_adds / 1e9:,.1f} G"),
    ]


def pictures_of(story: StoredRun) -> tuple[list[LoadedPair], str]:
    """Pairs to show, and what they are: the run's own to choose by, never those to test on; the
    package's own photographs where there are none."""
    try:
        config = build(Config, dict(story.config))
        found = find_sets(config).val
        if found:
            return [
                loaded(pair) for pair in spread(found)
            ], "Pictures of val, which were not trained on."
    except (InputError, OSError):
        pass  # moved or removed since
    scale: Scale = story.config["student"]["scale"]
    names = (*SPLITS["test"], UPSCALING_SAMPLE)
    return [
        (name, *sample_pair(name, scale)) for name in names
    ], "Photographs of ibsd's own, degraded as by a camera."


def spread(items: Sequence[Item], most: int = MOST_SCENES) -> list[Item]:
    """At most so many, evenly apart."""
    return [items[k * len(items) // min(most, len(items))] for k in range(min(most, len(items)))]


def loaded(pair: Pair) -> LoadedPair:
    return (pair.name, *load_pair(pair))


@torch.inference_mode()
def scenes(methods: Mapping[str, Method], pairs: Sequence[LoadedPair]) -> list[Scene]:
    """The pictures by bicubic and by every method."""
    found = []
    for name, lr, hr in pairs:
        lr, hr = centre(lr, hr)
        tensor = to_tensor(lr)
        scale = hr.shape[0] // lr.shape[0]
        versions = {BICUBIC: to_array(bicubic(tensor, scale))} | {
            method: upscaled(run, tensor) for method, run in methods.items()
        }
        found.append(
            Scene(
                name,
                lr,
                versions,
                hr,
                {method: psnr_y(version, hr, scale) for method, version in versions.items()},
            )
        )
    return found


def centre(lr: np.ndarray, hr: np.ndarray, most: int = MOST_LR_PX) -> tuple[np.ndarray, np.ndarray]:
    """The middle of both, at most so many LR pixels a side."""
    scale = hr.shape[0] // lr.shape[0]
    height, width = (min(side, most) for side in lr.shape[:2])
    top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
    part = hr[top * scale : (top + height) * scale, left * scale : (left + width) * scale]
    return np.ascontiguousarray(lr[top : top + height, left : left + width]), np.ascontiguousarray(
        part
    )


def upscaled(method: Method, lr: Tensor) -> np.ndarray:
    return to_array(method(lr).float())


def psnr_y(sr: np.ndarray, hr: np.ndarray, scale: int) -> float:
    """`basicsr-y`, in dB."""
    return score(to_tensor(sr), to_tensor(hr), scale, lpips=False)["basicsr-y"]["psnr_y"]
