"""The composition root of `ibsd compare`: from a comparison's config to runs that can be made, and
from their records to results."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ibsd.assembly import (
    as_pairs,
    build_objective,
    build_student,
    data_seed,
    find_sets,
)
from ibsd.commands.run_record import flat
from ibsd.comparison.design import ArmDesign, Design, RunName, SettingDesign
from ibsd.comparison.identity import Identity, RunRequest
from ibsd.comparison.scoring import Scoring, TestSet
from ibsd.config.comparison import CompareConfig
from ibsd.config.parsing import parameters_of
from ibsd.config.run import Config, ObjectiveConfig, StudentConfig
from ibsd.data.integrity import (
    MIN_LR_PX,
    FileDigest,
    check_disjoint,
    check_pairs,
    digest_pairs,
    fingerprint,
)
from ibsd.data.layouts import find_data
from ibsd.data.pairs import Pair, PairSets
from ibsd.data.presets import find_preset
from ibsd.distillation.registry import OBJECTIVES, declared_options
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.students import STUDENTS
from ibsd.training.result import AVERAGED
from ibsd.types import InputError
from ibsd.weights import named_or_file

CADENCE = ("log_every", "diagnostics_every", "validate_every", "checkpoint_every", "keep")
"""Options of training that move no figure."""

Log = Callable[[str], None]


class Comparison:
    """A comparison's runs, by name: what each of them is, and how to make it."""

    def __init__(self, config: CompareConfig) -> None:
        self.config = config
        self.digests: dict[Path, FileDigest] = {}
        self.built: set[tuple[str, str]] = set()
        self.names = [name for name in self.all_names() if not self.source_of(name.arm)]
        """Runs that are made. Arms that are scored by other weights have none of their own."""

    def all_names(self) -> list[RunName]:
        """Every run that tables show."""
        config = self.config
        return [
            RunName(setting, arm, seed)
            for setting in config.settings
            for arm in config.arms
            for seed in config.seeds(setting, self.source_of(arm) or arm)
        ]

    def source_of(self, arm: str) -> str:
        """The arm whose runs this one is scored by, with other weights; empty for an arm of its own
        runs."""
        content = self.config.arms[arm]
        return content.like if content.weights != AVERAGED else ""

    def run_config(self, name: RunName) -> Config:
        """The config of one run; what an objective draws for itself follows the run's seed."""
        config = self.config.run_config(*name)
        if config.objective.name in OBJECTIVES and "seed" in parameters_of(
            declared_options(OBJECTIVES[config.objective.name])
        ):
            objective = dataclasses.replace(
                config.objective, options={"seed": name.seed} | config.objective.options
            )
            config = dataclasses.replace(config, objective=objective)
        return config

    def pairs(self, name: RunName) -> tuple[tuple[Pair, ...], dict[str, tuple[Pair, ...]]]:
        """(pairs to train on, {test set: pairs}), found but not read. A photograph that is yet to
        be degraded stands for both sides of a pair."""
        config = self.run_config(name)
        data = config.data
        tests = {}
        for test, content in self.config.tests[name.setting].items():
            where = f"{self.config.path}: settings.{name.setting}.tests.{test}"
            if content.photographs:
                tests[test] = as_pairs(content.photographs)
                continue
            if not (folder := content.pairs or data.pairs):
                raise InputError(f"{where} has no pairs; name a folder in the published layout")
            sets = find_data(folder, config.student.scale).sets.select(content.select)
            tests[test] = tuple(pair for split in content.splits for pair in getattr(sets, split))
            if not tests[test]:
                raise InputError(
                    f"{where}: {' and '.join(content.splits)} of {folder} has no pairs named "
                    f"{content.select or '*'}; change select, splits or pairs"
                )
        return find_sets(config).train, tests

    def photographs(self, name: RunName) -> tuple[Pair, ...]:
        """What is degraded to train on."""
        folder = self.run_config(name).data.photographs
        return as_pairs(folder) if folder else ()

    def fingerprints(self, name: RunName) -> dict[str, Any]:
        """Of the pictures, all of which are read and checked: usable, and none of them both trained
        and scored on."""
        config = self.run_config(name)
        (train, tests), photographs = self.pairs(name), self.photographs(name)
        scored = tuple(dict.fromkeys(pair for pairs in tests.values() for pair in pairs))
        digests = self.digests
        digests |= check_pairs(train, config.student.scale, config.data.patch_px, digests)
        # A photograph that stands for both sides of a pair has no scale to check.
        matched = [pair for pair in scored if pair.lr != pair.hr]
        digests |= check_pairs(matched, config.student.scale, MIN_LR_PX, digests)
        digests |= digest_pairs((*scored, *photographs), digests)
        check_disjoint(PairSets((*train, *photographs), (), scored), digests)
        fingerprints: dict[str, Any] = {"train": fingerprint(train, digests), "tests": {}}
        for test, pairs in tests.items():
            content = self.config.tests[name.setting][test]
            digest = fingerprint(pairs, digests)
            rows = {
                row: f"{preset} at {content.crop_px} px of {digest}"
                for row, preset in content.rows(test).items()
            }
            whole = json.dumps(list(rows.values())) if rows else digest
            fingerprints["tests"] |= rows | {test: whole}
        if photographs:
            of_photographs = fingerprint(photographs, digests)
            fingerprints["train"] = [fingerprints["train"], of_photographs]
        return fingerprints

    def check_objective(self, name: RunName) -> None:
        """Builds the run's network and objective once for each setting and arm, so that whatever
        they refuse is said before any run."""
        if (name.setting, name.arm) not in self.built:
            config = self.run_config(name)
            try:
                build_objective(config, build_student(config))
            except InputError as error:
                raise InputError(
                    f"{self.config.path}: setting {name.setting}, arm {name.arm}: {error}"
                ) from None
            self.built.add((name.setting, name.arm))

    def request(self, name: RunName, with_data: bool = True) -> RunRequest:
        """What the run is, and the defaults of its options; without data where no picture shall be
        looked at."""
        self.check_objective(name)
        config = self.run_config(name)
        lpips = self.config.options.lpips
        options = {"training": training_options(config), "scoring": {"lpips": lpips}}
        default = Config(
            student=StudentConfig(config.student.name, config.student.scale),
            objective=ObjectiveConfig(config.objective.name),
        )
        data = self.fingerprints(name) if with_data else None
        identity = Identity(*name, config=options, data=data)
        return RunRequest(identity, training_options(default) | {"lpips": False})

    def scoring(self, name: RunName) -> Scoring:
        """What the run is scored on. Photographs are read and degraded here."""
        scale = self.run_config(name).student.scale
        sets: dict[str, TestSet] = {}
        for test, pairs in self.pairs(name)[1].items():
            content = self.config.tests[name.setting][test]
            photographs = [pair.hr for pair in pairs]
            rows = {
                row: TestSet(
                    content.role,
                    tuple(degraded_pairs(photographs, find_preset(preset), scale, content.crop_px)),
                )
                for row, preset in content.rows(test).items()
            }
            if rows:
                sets |= rows | {test: TestSet(content.role, parts=tuple(rows))}
            else:
                sets[test] = TestSet(content.role, pairs)
        derived = {
            arm.weights for key, arm in self.config.arms.items() if self.source_of(key) == name.arm
        }
        options = self.config.options
        return Scoring(sets, options.lpips, options.primary, frozenset(derived))

    def marks(self, setting: str) -> tuple[int, ...]:
        """Lengths of all arms' schedules: where the batches of a longer one are compared with those
        of a shorter."""
        seed = self.config.options.seeds[0]
        return tuple(
            sorted(
                {
                    self.config.run_config(setting, arm, seed).training.num_steps
                    for arm in self.config.arms
                }
            )
        )

    def design(self) -> Design:
        config = self.config
        options = self.config.options
        settings = {}
        for name, setting in config.settings.items():
            parts = {
                row: test
                for test, content in config.tests[name].items()
                for row in content.rows(test)
            }
            roles = {test: content.role for test, content in config.tests[name].items()}
            roles |= {part: roles[test] for part, test in parts.items()}
            settings[name] = SettingDesign(setting.title or name, setting.note, roles, parts)
        arms = {
            name: ArmDesign(arm.title or name, arm.role, self.options_text(name))
            for name, arm in config.arms.items()
        }
        pictures = "photographs" if "photographs" in config.base.get("data", {}) else "pairs"
        path = config.path.name if config.path.is_absolute() else config.path.as_posix()
        command = f"ibsd compare {path} base.data.{pictures}=FOLDER"
        return Design(
            options.title,
            command,
            options.baseline,
            options.primary,
            tuple(self.all_names()),
            settings,
            arms,
            tuple((arm, against) for arm, against in options.contrasts),
            options.named_before_tests,
        )

    def options_text(self, arm: str) -> str:
        """The options of an arm, as text."""
        overrides = {
            key.removeprefix("objective.options."): value
            for key, value in flat(self.config.arm_overrides(arm)).items()
        }
        if self.source_of(arm):
            return f"{self.config.arms[arm].weights} weights of {self.source_of(arm)}"
        if (factor := self.config.arms[arm].steps_factor) != 1:
            overrides["training.num_steps"] = f"{factor:g} times as many"
        if offset := self.config.arms[arm].data_seed_offset:
            overrides["run.data_seed"] = f"seed + {offset}"
        return ", ".join(f"{key}={value}" for key, value in overrides.items())


def work_folder(config: CompareConfig, identity: Identity) -> Path:
    """Where a run is trained: checkpoints, log and weights."""
    return Path(config.options.work) / identity.training_key[:16]


def training_options(config: Config) -> dict[str, Any]:
    """{dotted key: value} of every option that training depends on, defaults included: no paths,
    pictures or cadences."""
    student = config.student
    data = config.data
    objective = config.objective
    run = config.run
    weights = (
        hashlib.sha256(named_or_file(student.weights).read_bytes()).hexdigest()
        if student.weights
        else ""
    )
    options: dict[str, Any] = {
        "student": {
            "name": student.name,
            "scale": student.scale,
            "options": option_defaults(STUDENTS[student.name]) | student.options,
            "weights": weights,
        },
        "data": {
            "batch_size": data.batch_size,
            "patch_px": data.patch_px,
            "augment": data.augment,
            "views": data.views,
            "groups": data.groups,
        },
        "objective": {
            "name": objective.name,
            "options": option_defaults(declared_options(OBJECTIVES[objective.name]))
            | objective.options,
        },
        "training": {
            key: value
            for key, value in dataclasses.asdict(config.training).items()
            if key not in CADENCE
        },
        "run": {"seed": run.seed, "data_seed": data_seed(config)},
    }
    if data.photographs:
        shares = [[name, share] for name, share in data.degradations.items()]
        options["data"] |= {
            "degradations": shares,
            "softness": data.softness,
            "photograph_share": data.photograph_share if data.pairs else 1,
        }
    return json.loads(json.dumps(flat(options)))


def option_defaults(target: Callable[..., Any]) -> dict[str, Any]:
    """{keyword: default} of a class."""
    parameters = parameters_of(target).items()
    return {
        name: parameter.default
        for name, parameter in parameters
        if parameter.default is not inspect.Parameter.empty and name != "scale"
    }
