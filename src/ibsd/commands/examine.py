"""`ibsd compare --examine` without a terminal: what the features of a finished run tell."""

from __future__ import annotations

import json
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import torch

from ibsd.analysis.crops import cut_crop_sets, cut_crops
from ibsd.assembly import as_pairs, build_objective, build_student, find_sets
from ibsd.commands.plan import Comparison, work_folder
from ibsd.comparison.design import RunName
from ibsd.comparison.examination import Crowd, examine, probe_all
from ibsd.comparison.results import PIXELS, RANDOM_WEIGHTS
from ibsd.comparison.store import Examination, RunRecord
from ibsd.config.comparison import ExamineOptions
from ibsd.config.run import DataConfig
from ibsd.data.degraded_patches import find_photographs
from ibsd.data.image_stack import ImageStack, resident_stacks
from ibsd.data.integrity import fingerprint
from ibsd.data.layouts import find_data
from ibsd.data.pairs import Pair
from ibsd.data.presets import find_preset
from ibsd.distillation import IBSD
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.images.rgb import to_tensor
from ibsd.inference.device import choose_device
from ibsd.students import load_student
from ibsd.training.checkpoint import load_newest
from ibsd.training.execution import CHECKPOINTS
from ibsd.training.result import AVERAGED, WEIGHT_FILES
from ibsd.types import InputError, Scale


def log_nothing(sentence: str) -> None:
    """A checkpoint that is damaged counts as none."""


class Examiner:
    """Examines the runs of one setting of a comparison."""

    def __init__(self, comparison: Comparison, name: RunName) -> None:
        self.comparison = comparison
        self.name = name
        self.options = comparison.config.options.examine

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What an examination depends on besides the run."""
        options = {
            name: value
            for name, value in asdict(self.options).items()
            if name not in ("watch", "pairs", "photographs")
        }
        pictures = ""
        if self.options.classes:
            folder = self.options.photographs
            pictures = fingerprint(as_pairs(folder) if folder else list(self.classes))
        return json.loads(json.dumps({"options": options, "pictures": pictures}))

    @cached_property
    def classes(self) -> dict[Pair, int]:
        """The pictures of the probe and the class of each."""
        options = self.options
        where = f"{self.comparison.config.path}: compare.examine"
        config = self.comparison.run_config(self.name)
        sets = find_data(options.pairs or config.data.pairs, config.student.scale).sets
        classes: dict[Pair, int] = {}
        for pair in (pair for split in options.splits for pair in getattr(sets, split)):
            if matching := [
                k for k, pattern in enumerate(options.classes) if fnmatchcase(pair.name, pattern)
            ]:
                if len(matching) > 1:
                    raise InputError(f"{where}: {pair.name} matches several classes; change them")
                classes[pair] = matching[0]
        for k, pattern in enumerate(options.classes):
            if k not in classes.values():
                splits = " and ".join(options.splits)
                raise InputError(f"{where}: no pair of {splits} is named {pattern}; change classes")
        return classes

    def crowd(self) -> Crowd:
        """Crops of every pair; of photographs the centre, under every family: pictures that only
        the degradation tells apart."""
        if self.options.photographs:
            return degraded_crowd(self.options, self.comparison.run_config(self.name).student.scale)
        crops = cut_crops(
            resident_stacks(list(self.classes))[0], self.options.crops, self.options.crop_px, seed=0
        )
        return Crowd(crops.lr, torch.tensor(list(self.classes.values()))[crops.image], crops.image)

    def examine(self, record: RunRecord) -> Examination | None:
        """None where the run's last checkpoint or weights are no longer in the work folder."""
        torch.set_num_threads(1)
        folder = work_folder(self.comparison.config, record.identity)
        weights = folder / WEIGHT_FILES[AVERAGED]
        newest = load_newest(folder / CHECKPOINTS, log_nothing) if weights.is_file() else None
        if newest is None or newest[0] != record.pairing["num_steps"]:
            return None
        state = newest[1]
        config = self.comparison.run_config(self.name)
        device = choose_device(config.run.device, "run.device")
        student = build_student(config).to(device)
        objective = build_objective(config, student)
        probes = {}
        if self.options.classes:
            controls = (
                {RANDOM_WEIGHTS: build_student(config), PIXELS: None}
                if self.name.arm == self.comparison.config.options.baseline
                else {}
            )
            probes = probe_all(
                {"student": load_student(weights).to(device), **controls},
                self.crowd(),
                self.options.rounds,
            )
        student.load_state_dict(state["student"])
        if isinstance(objective, IBSD):
            objective.chain.load_state_dict(state["objective"]["estimators"])
        if pairs := find_sets(config).train:
            lr, _ = resident_stacks(pairs)
        else:
            lr = degraded_stack(config.data, config.student.scale)
        crops = cut_crop_sets(lr, self.options.patch_px, self.options.patches)
        return examine(
            record.identity.key, self.asked, objective, crops, self.options.fit_steps, probes
        )


def degraded_crowd(options: ExamineOptions, scale: Scale) -> Crowd:
    photographs = find_photographs(options.photographs)
    rows = [
        degraded_pairs(photographs, find_preset(name), scale, options.crop_px * scale)
        for name in options.classes
    ]
    images = torch.cat([to_tensor(lr) for row in rows for _, lr, _ in row])
    return Crowd(
        images,
        torch.arange(len(rows)).repeat_interleave(len(photographs)),
        torch.arange(len(photographs)).repeat(len(rows)),
    )


def degraded_stack(data: DataConfig, scale: Scale) -> ImageStack:
    """LR of the training photographs' centres, each under one degradation of the training
    mixture."""
    photographs = find_photographs(data.photographs)
    shares = torch.tensor(list(data.degradations.values()), dtype=torch.float64)
    chosen = torch.multinomial(
        shares, len(photographs), replacement=True, generator=torch.Generator().manual_seed(0)
    ).tolist()
    names = [list(data.degradations)[number] for number in chosen]
    crops = [
        to_tensor(degraded_pairs([path], find_preset(name), scale)[0][1])
        for path, name in zip(photographs, names, strict=True)
    ]
    return ImageStack(
        torch.cat([lr.flatten() for lr in crops]), [(lr.shape[-2], lr.shape[-1]) for lr in crops]
    )
