"""From a comparison's config to its runs: what each one is, its data, its key and its design."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ibsd.assembly import as_pairs, build_objective, build_student, data_seed, find_sets
from ibsd.commands.run_record import flat
from ibsd.comparison.design import MEAN, ArmDesign, Design, Place, RunName, SettingDesign
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


class Comparison:
    """A comparison's runs, by name."""

    def __init__(self, config: CompareConfig) -> None:
        self.config = config
        self.digests: dict[Path, FileDigest] = {}
        self.built: set[tuple[str, str]] = set()
        self.names = [name for name in self.all_names() if not self.source_of(name.arm)]
        """Runs to make. Arms that are scored by another arm's weights have none."""

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
        """The arm whose runs this one takes, with other weights; empty for an arm with its own
        runs."""
        content = self.config.arms[arm]
        return content.like if content.weights != AVERAGED else ""

    def run_config(self, name: RunName) -> Config:
        """The config of one run. An objective with a `seed` gets the run's, unless it is set."""
        config = self.config.run_config(*name)
        objective = config.objective
        declared = OBJECTIVES.get(objective.name)
        if declared is None or "seed" not in parameters_of(declared_options(declared)):
            return config
        seeded = dataclasses.replace(objective, options={"seed": name.seed} | objective.options)
        return dataclasses.replace(config, objective=seeded)

    def pairs(self, name: RunName) -> tuple[tuple[Pair, ...], dict[str, tuple[Pair, ...]]]:
        """(pairs to train on, {test set: pairs}), found but not read. A photograph to degrade
        stands for both sides of a pair."""
        config = self.run_config(name)
        data = config.data
        tests = {}
        for test, content in self.config.tests[name.setting].items():
            where = f"{self.config.path}: settings.{name.setting}.tests.{test}"
            if content.photographs:
                tests[test] = as_pairs(content.photographs)
                continue
            if not (folder := content.pairs or data.pairs):
                raise InputError(f"{where} has no pairs: name a folder")
            sets = find_data(folder, config.student.scale).sets.select(content.select)
            tests[test] = tuple(pair for split in content.splits for pair in getattr(sets, split))
            if not tests[test]:
                splits = " and ".join(content.splits)
                which = f"{splits} of {folder} has no pairs named {content.select or '*'}"
                raise InputError(f"{where}: {which}; change select, splits or pairs")
        return find_sets(config).train, tests

    def photographs(self, name: RunName) -> tuple[Pair, ...]:
        """The photographs that are degraded for training."""
        folder = self.run_config(name).data.photographs
        return as_pairs(folder) if folder else ()

    def fingerprints(self, name: RunName) -> dict[str, Any]:
        """Fingerprints of all images, after checking that they can be used and that none is both
        trained and scored on."""
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
        """Builds network and objective once for each setting and arm, so that their errors come
        before any run."""
        if (name.setting, name.arm) in self.built:
            return
        config = self.run_config(name)
        try:
            build_objective(config, build_student(config))
        except InputError as error:
            where = f"{self.config.path}: setting {name.setting}, arm {name.arm}"
            raise InputError(f"{where}: {error}") from None
        self.built.add((name.setting, name.arm))

    def request(self, name: RunName, with_data: bool = True) -> RunRequest:
        """The run's identity and the defaults of its options. Without data, to look it up in a
        store, no image is read and no network is built."""
        if with_data:
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
        """The run's test sets. Photographs are read and degraded here."""
        scale = self.run_config(name).student.scale
        sets: dict[str, TestSet] = {}
        for test, pairs in self.pairs(name)[1].items():
            content = self.config.tests[name.setting][test]
            photographs = [pair.hr for pair in pairs]
            rows: dict[str, TestSet] = {}
            for row, name_of_preset in content.rows(test).items():
                preset = find_preset(name_of_preset)
                degraded = degraded_pairs(photographs, preset, scale, content.crop_px)
                rows[row] = TestSet(content.role, tuple(degraded))
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
        """Lengths of all arms' schedules, at which their batches are compared."""
        seed = self.config.options.seeds[0]
        configs = [self.config.run_config(setting, arm, seed) for arm in self.config.arms]
        return tuple(sorted({config.training.num_steps for config in configs}))

    def design(self) -> Design:
        config = self.config
        options = self.config.options
        settings: dict[str, SettingDesign] = {}
        for name in options.means:
            places, role = config.mean_of(name)
            mean_of = tuple(Place(*place) for place in places)
            title = f"Mean over {', '.join(map(str, mean_of))}, which count alike"
            settings[name] = SettingDesign(title, "", {MEAN: role}, mean_of=mean_of)
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
    images or cadences."""
    student = config.student
    data = config.data
    objective = config.objective
    run = config.run
    weights = named_or_file(student.weights).read_bytes() if student.weights else None
    declared = option_defaults(declared_options(OBJECTIVES[objective.name]))
    training = dataclasses.asdict(config.training)
    options: dict[str, Any] = {
        "student": {
            "name": student.name,
            "scale": student.scale,
            "options": option_defaults(STUDENTS[student.name]) | student.options,
            "weights": "" if weights is None else hashlib.sha256(weights).hexdigest(),
        },
        "data": {
            name: getattr(data, name)
            for name in ("batch_size", "patch_px", "augment", "views", "groups")
        },
        "objective": {"name": objective.name, "options": declared | objective.options},
        "training": {key: value for key, value in training.items() if key not in CADENCE},
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
    """{keyword: default} of a class, without `scale`."""
    parameters = parameters_of(target).items()
    return {
        name: parameter.default
        for name, parameter in parameters
        if parameter.default is not inspect.Parameter.empty and name != "scale"
    }
