"""`ibsd specialise` without a terminal: the recipe as a config of a run, and what it gained."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibsd.assembly import checked_pairs, find_sets
from ibsd.commands.pictures import pictures_of, scenes
from ibsd.commands.run_record import RUN_FILE, versions
from ibsd.commands.train import alone_in
from ibsd.config.parsing import apply_override, build
from ibsd.config.run import Config
from ibsd.data.pairs import Pair
from ibsd.data.samples import sample_names, sample_pair
from ibsd.distillation.specialise import Specialise, SpecialiseOptions
from ibsd.evaluation.scores import LoadedPair, ScoreTable, evaluate
from ibsd.reporting.pictures import scenes_section
from ibsd.reporting.specialise import SPECIALISED, START, losses, specialise_page
from ibsd.reporting.stored_run import read_run_folder
from ibsd.students import load_student
from ibsd.system import refuse_existing, write_json, write_whole
from ibsd.training.result import MEAN, WEIGHT_FILES
from ibsd.types import InputError, Scale, require

NUM_STEPS = 1200
LEARNING_RATE_WARM_UP = 200
RECIPE: Mapping[str, Any] = {
    "data": {"batch_size": 8, "patch_px": 32},
    "training": {
        "learning_rate": 5e-4,
        "ema_decay": 0.998,
        "start_share": Specialise.start_share,
        "channels_last": True,
        "log_every": 100,
        "diagnostics_every": 400,
        "checkpoint_every": 300,
        "validate_every": 0,
        "keep": 1,
    },
}
"""The arm `ibsd-mean` of docs/protocol.md, but for what depends on the number of steps."""

RUN = "run"
WEIGHTS = f"{SPECIALISED}.safetensors"
SCORES = "scores.json"
REPORT = "report.html"
ELSEWHERE = "the photographs inside ibsd"


@dataclass(frozen=True)
class Outcome:
    """What the command made."""

    weights: Path
    report: Path
    tables: Mapping[str, ScoreTable]
    """Scores of bicubic, the start and the specialised weights, by the name of the images."""
    notes: Sequence[str]
    """What the user should know of them."""


def specialise_config(
    places: Mapping[str, str],
    weights: str,
    folder: Path,
    num_steps: int = NUM_STEPS,
    overrides: Sequence[str] = (),
) -> Config:
    """The run in `folder`/run. With fewer or more steps all parts of it shrink or grow alike.

    Args:
        places: of the pairs, {"pairs": folder} or {"lr": folder, "hr": folder}.

    Errors: InputError for weights that cannot be read and overrides that no config takes.
    """
    spec = load_student(weights).spec
    student = {"name": spec.name, "scale": spec.scale, "options": dict(spec.options)}
    lengths = {
        name: max(1, round(getattr(SpecialiseOptions(), name) * num_steps / NUM_STEPS))
        for name in ("warm_up", "ramp", "period")
    }
    schedule = {"kind": "cosine", "warm_up": round(LEARNING_RATE_WARM_UP * num_steps / NUM_STEPS)}
    table: dict[str, Any] = {
        "student": student | {"weights": weights},
        "data": RECIPE["data"] | places,
        "objective": {"name": "specialise", "options": lengths},
        "training": RECIPE["training"] | {"num_steps": num_steps, "schedule": schedule},
    }
    for override in overrides:
        apply_override(table, override)
    config = build(Config, table)
    share = config.training.start_share
    require("training.start_share", share, share > 0, "above 0, as ibsd train trains without it")
    return dataclasses.replace(
        config, run=dataclasses.replace(config.run, folder=str(folder / RUN))
    )


def claim(folder: Path, config: Config, resume: bool, force: bool) -> None:
    """InputError where `folder` holds an earlier result that is neither to be continued nor to be
    replaced, and where that is what the training starts from. With `force` its run is removed, once
    the new one's pairs are known to be good."""
    run = folder / RUN
    start = Path(os.path.realpath(config.student.weights))
    replaced = [os.path.realpath(path) for path in (run, folder / WEIGHTS)]
    if any(start.is_relative_to(path) for path in replaced):
        raise InputError(
            f"{config.student.weights} would be replaced, and the training starts from it: "
            "choose another --output"
        )
    if run.exists() and not (resume or force):
        raise InputError(
            f"{folder} holds a run already: add --resume to continue it, --force to replace it, or "
            "choose another --output"
        )
    own = force or run.exists()
    refuse_existing((folder / name for name in (WEIGHTS, SCORES, REPORT)), own)
    if not resume and (run / RUN_FILE).is_file():
        checked_pairs(config)
        with alone_in(run):
            shutil.rmtree(run)


def outcome(config: Config, lpips: bool, on_image: Callable[[int, int], None]) -> Outcome:
    """The specialised weights of a run that has finished, their scores and their page.

    Args:
        lpips: whether to compute LPIPS, the slowest metric.
        on_image: takes (images scored, of how many).
    """
    run = Path(config.run.folder)
    folder = run.parent
    weights = folder / WEIGHTS
    write_whole(weights, (run / WEIGHT_FILES[MEAN]).read_bytes())
    students = {START: load_student(config.student.weights), SPECIALISED: load_student(weights)}
    scale: Scale = students[START].spec.scale
    images, notes = images_to_score(config, scale)
    total = sum(map(len, images.values()))
    tables: dict[str, ScoreTable] = {}
    for title, pairs in images.items():
        before = sum(table.num_images for table in tables.values())
        tables[title] = evaluate(
            students,
            pairs,
            scale,
            lpips=lpips,
            on_image=lambda done, _, before=before: on_image(before + done, total),
        )
    notes += losses(tables)
    contents = {title: json.loads(table.to_json()) for title, table in tables.items()}
    write_json(folder / SCORES, contents)
    stored = read_run_folder(run)
    pictures, about = pictures_of(stored)
    shown = scenes_section(scenes(students, pictures), about)
    details = [
        ("start", config.student.weights),
        ("network", f"{config.student.name} x{scale}"),
        ("pairs", name_of_pairs(config)),
        ("steps", f"{config.training.num_steps:,}"),
        ("share of the start in the mean", f"{config.training.start_share:.0%}"),
        ("curves of the training", f"{RUN}/{REPORT}"),
    ]
    write_whole(folder / REPORT, specialise_page(tables, shown, details, versions()))
    return Outcome(weights, folder / REPORT, tables, notes)


def name_of_pairs(config: Config) -> str:
    """The name of the folder that the user gave."""
    return Path(config.data.pairs or config.data.lr).resolve().name


def images_to_score(
    config: Config, scale: Scale
) -> tuple[dict[str, Sequence[Pair | LoadedPair]], list[str]]:
    """(images by name, remarks): those of the user's `test`, else `val`, and the photographs in the
    package."""
    sets = find_sets(config)
    notes: list[str] = []
    images: dict[str, Sequence[Pair | LoadedPair]] = {}
    name = name_of_pairs(config)
    if own := sets.test or sets.val:
        split = "test" if sets.test else "val"
        images[f"{split} of {name}"] = own
        if split == "val":
            notes.append(f"{name} has no test pairs: the scores are on val")
    else:
        notes.append(f"{name} has no test and no val pairs: nothing shows the gain on your cameras")
    images[ELSEWHERE] = [(name, *sample_pair(name, scale)) for name in sample_names()]
    return images, notes
