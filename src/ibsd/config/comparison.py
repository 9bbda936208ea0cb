"""A comparison, described in TOML: a base run, settings (which pictures), arms (which objective)
and seeds.

    [compare]                  # where results go, seeds, baseline, primary figure
    [base.*]                   # a run config as for `ibsd train`
    [settings.NAME]            # title, note, overrides of base
    [settings.NAME.tests.SET]  # pictures to score on
    [arms.NAME]                # title, role, overrides of base; `like` takes another arm's first

Every combination of setting, arm and seed is one run. A setting's and an arm's overrides are tables
of a run config: `objective.name`, `training.num_steps` and so on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from ibsd.config.parsing import build, read_table
from ibsd.config.run import Config
from ibsd.data.presets import find_preset
from ibsd.types import InputError, require

SECTIONS = tuple(section.name for section in fields(Config))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
Section = TypeVar("Section")


@dataclass(frozen=True)
class ExamineOptions:
    """What `--examine` measures. Moves no figure of a run, and is no part of its key."""

    watch: tuple[str, ...] = ()
    """Arms with lambda_mi 0 whose estimators only watch: plain's account. With several, each run
    takes the first one of its own view."""
    patch_px: int = 24
    patches: int = 16
    """Of each training photograph, for fresh estimators."""
    fit_steps: int = 3000
    """Most steps of a fresh fit."""
    classes: tuple[str, ...] = ()
    """Patterns of names, one per class that the probe tells apart, such as "Canon*"; no probe below
    two."""
    photographs: str = ""
    """Folder of sharp photographs: `classes` are then families of degradations, under each of which
    the probe sees every photograph."""
    pairs: str = ""
    """Default: the setting's `data.pairs`."""
    splits: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
    """Many photographs tell more than clean ones: see docs/decisions/0010-fresh-estimators.md."""
    crop_px: int = 64
    crops: int = 2
    """Of each photograph."""
    rounds: int = 4

    def __post_init__(self) -> None:
        section = "compare.examine"
        for name in ("patch_px", "patches", "fit_steps", "crop_px", "crops", "rounds"):
            value = getattr(self, name)
            require(f"{section}.{name}", value, value > 0, "above 0")
        classes = list(self.classes)
        require(f"{section}.classes", classes, len(classes) != 1, "no pattern, or two or more")
        for name in self.classes if self.photographs else ():
            find_preset(name)


@dataclass(frozen=True)
class CompareOptions:
    """What is compared, and where the results go."""

    folder: str
    """Takes `runs.jsonl.xz`, which holds the figures of every run, and the report."""
    work: str = "runs/compare"
    """Takes checkpoints, logs and weights; may be shared by several comparisons."""
    title: str = "Comparison"
    """Of the page."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every arm is run once with each. A seed sets the order of the data."""
    baseline: str = "plain"
    """The arm that all others are compared with."""
    primary: str = "basicsr-y.psnr_y"
    """The figure that a claim is made of, as protocol.metric, of the averaged weights at the last
    step."""
    named_before_tests: bool = False
    """Whether `primary` was named before any test was opened; pages say so only if it is true."""
    contrasts: tuple[tuple[str, ...], ...] = ()
    """Pairs of arms to compare besides each arm with the baseline, such as
    [["ibsd", "wavelet-to-hr"]]. The second one is subtracted."""
    means: dict[str, Any] = field(default_factory=dict)
    """{name: test sets of one role, each as setting/test}. The primary figure is then the mean over
    these sets, which count alike however many images they have. A claim needs the same sign on
    each."""
    lpips: bool = False
    """Whether LPIPS is computed, the slowest metric."""
    page: str = ""
    """Markdown page to write, with its plot beside it; default results.md in the folder."""
    remarks: str = ""
    """Markdown file that the page takes in as it is, for what figures alone do not say."""
    examine: ExamineOptions = ExamineOptions()

    def __post_init__(self) -> None:
        seeds = list(self.seeds)
        fits = bool(seeds) and are_seeds(seeds)
        require("compare.seeds", seeds, fits, "a list of different whole numbers from 0")
        form = 'protocol.metric, such as "basicsr-y.psnr_y"'
        require("compare.primary", self.primary, self.primary.count(".") == 1, form)


def are_seeds(values: Any) -> bool:
    """Whether these are different whole numbers from 0."""
    if not isinstance(values, list | tuple):
        return False
    numbers = cast("Sequence[Any]", values)
    whole = all(type(number) is int and number >= 0 for number in numbers)
    return whole and len(set(numbers)) == len(numbers)


@dataclass(frozen=True)
class TestConfig:
    """Pictures to score on: some splits of a folder in the published layout, or photographs under
    families of degradations."""

    pairs: str = ""
    """Default: the setting's `data.pairs`."""
    select: str = ""
    splits: tuple[Literal["train", "val", "test"], ...] = ("test",)
    role: Literal["seen", "unseen"] = "unseen"
    photographs: str = ""
    """Folder of sharp photographs, in place of pairs: the centre of each is degraded under each
    family. A row of the degradation matrix each, and a set of their means per photograph."""
    families: tuple[str, ...] = ()
    """Of `data/presets.py`."""
    crop_px: int = 256

    def __post_init__(self) -> None:
        together = bool(self.photographs) == bool(self.families)
        require("photographs", self.photographs, together, "given together with families")
        for name in self.families:
            find_preset(name)
        require("crop_px", self.crop_px, self.crop_px >= 64, "at least 64")

    def rows(self, test: str) -> dict[str, str]:
        """{test set of one family: family}, of the test set called `test`."""
        return {f"{test}/{name}": name for name in self.families}


@dataclass(frozen=True)
class SettingConfig:
    """Which pictures are trained and scored on."""

    title: str = ""
    note: str = ""
    more_seeds: dict[str, Any] = field(default_factory=dict)
    """{arm: seeds besides `compare.seeds`}"""
    tests: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmConfig:
    """What is compared with the baseline."""

    title: str = ""
    like: str = ""
    """Another arm whose overrides come first."""
    role: Literal["treatment", "a/a", "unpaired"] = "treatment"
    data_seed_offset: int = 0
    """Added to the seed of the data order: with an A/A arm, another order for each seed."""
    weights: Literal["ema", "raw", "mean", "start"] = "ema"
    """Which weights of its runs an arm is scored by. Another kind than `ema` names an arm without
    runs of its own: those of `like`. `mean` and `start` need training.start_share there."""
    steps_factor: float = 1.0
    """Of `training.num_steps`: with a control of equal compute, the measured ratio."""

    def __post_init__(self) -> None:
        fits = self.weights == "ema" or bool(self.like)
        require("weights", self.weights, fits, "'ema' without like")
        require("steps_factor", self.steps_factor, self.steps_factor > 0, "above 0")


@dataclass(frozen=True)
class CompareConfig:
    """A whole comparison."""

    path: Path
    options: CompareOptions
    base: dict[str, Any]
    settings: dict[str, SettingConfig]
    tests: dict[str, dict[str, TestConfig]]
    """{setting: {test set: what it holds}}"""
    arms: dict[str, ArmConfig]
    overrides: dict[tuple[str, str], dict[str, Any]]
    """{("settings" or "arms", name): tables of a run config}"""

    def seeds(self, setting: str, arm: str) -> tuple[int, ...]:
        """The seeds of one arm in one setting."""
        return (*self.options.seeds, *self.settings[setting].more_seeds.get(arm, ()))

    def mean_of(self, name: str) -> tuple[tuple[tuple[str, str], ...], str]:
        """((setting, test set) of all parts of a mean, their role). InputError naming what is
        wrong."""
        key = f"compare.means.{name}"
        require(key, name, name not in self.settings, "another name than a setting's")
        roles = {
            (setting, test): content.role
            for setting, sets in self.tests.items()
            for test, content in sets.items()
        }
        value: Any = self.options.means[name]
        listed: list[Any] = value if isinstance(value, list) else []
        places = tuple(place for place in roles if "/".join(place) in listed)
        known = "two or more of " + ", ".join(map("/".join, roles))
        require(key, value, 1 < len(places) == len(listed), known)
        kinds = {roles[place] for place in places}
        require(key, value, len(kinds) == 1, "of one role, seen or unseen")
        return places, kinds.pop()

    def run_config(self, setting: str, arm: str, seed: int) -> Config:
        """The run of one combination. InputError naming setting and arm for whatever a run config
        refuses."""
        own = self.overrides["settings", setting], self.arm_overrides(arm)
        table = merged(self.base, *own, {"run": {"seed": seed}})
        table["run"].pop("folder", None)
        if offset := self.arms[arm].data_seed_offset:
            table["run"]["data_seed"] = seed + offset
        try:
            config = build(Config, table)
            num_steps = round(config.training.num_steps * self.arms[arm].steps_factor)
            return replace(config, training=replace(config.training, num_steps=num_steps))
        except InputError as error:
            raise InputError(f"{self.path}: setting {setting}, arm {arm}: {error}") from None

    def arm_overrides(self, arm: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
        """An arm's tables, after those of the arm that it is like."""
        like = self.arms[arm].like
        if arm in seen or (like and like not in self.arms):
            raise InputError(
                f"{self.path}: arms.{(*seen, arm)[0]}.like leads to {like!r}, which is no arm or "
                "leads back: name another"
            )
        inherited = self.arm_overrides(like, (*seen, arm)) if like else {}
        own = self.overrides["arms", arm]
        before = inherited.get("objective", {}).get("name")
        if own.get("objective", {}).get("name", before) != before:
            inherited.pop("objective", None)  # its options are of another objective
        return merged(inherited, own)


def load_compare_config(path: str | Path, overrides: Sequence[str] = ()) -> CompareConfig:
    """A comparison from a TOML file, with overrides like "compare.seeds=[0]" or
    "base.data.pairs=FOLDER".

    Errors: InputError naming file and key for bad TOML, unknown keys, wrong types, or a combination
    that is no run config.
    """
    path = Path(path)
    table = read_table(path, overrides)
    try:
        return _checked(path, table)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _checked(path: Path, table: dict[str, Any]) -> CompareConfig:
    for key in table:
        if key not in ("compare", "base", "settings", "arms"):
            raise InputError(f"unknown section {key!r}; there are: compare, base, settings, arms")
    if "folder" not in section_of(table, "compare"):
        raise InputError("compare.folder is missing; name a folder for the results")
    options: CompareOptions = build(CompareOptions, table["compare"], "compare")
    overrides: dict[tuple[str, str], dict[str, Any]] = {}
    settings = _sections(table, "settings", SettingConfig, overrides)
    arms = _sections(table, "arms", ArmConfig, overrides)
    tests = {
        name: {
            test: build(TestConfig, content, f"settings.{name}.tests.{test}")
            for test, content in setting.tests.items()
        }
        for name, setting in settings.items()
    }
    for name, sets in tests.items():
        if not sets:
            raise InputError(
                f"settings.{name} has no test set: add a section [settings.{name}.tests.NAME]"
            )
    _check_arms(options, settings, arms)
    base = section_of(table, "base")
    for key in base:
        section_of(base, key, "base.")
    config = CompareConfig(path, options, base, settings, tests, arms, overrides)
    for name in options.means:
        config.mean_of(name)
    for setting in settings:
        for arm in arms:
            config.run_config(setting, arm, options.seeds[0])
    return config


def section_of(table: Mapping[str, Any], key: str, where: str = "") -> dict[str, Any]:
    """The section of a table, empty where it is missing. InputError if it is a plain value."""
    value = table.get(key, {})
    require(f"{where}{key}", value, isinstance(value, dict), f"a section, [{where}{key}]")
    return value


def _sections(
    table: dict[str, Any],
    kind: Literal["settings", "arms"],
    target: type[Section],
    overrides: dict[tuple[str, str], dict[str, Any]],
) -> dict[str, Section]:
    """{name: section} of one kind. Its tables of a run config go into `overrides`."""
    sections: dict[str, Section] = {}
    if not isinstance(table.get(kind), dict) or not table[kind]:
        raise InputError(f"there are no {kind}; add a section [{kind}.NAME]")
    for name, content in table[kind].items():
        if not _NAME.fullmatch(name) or not isinstance(content, dict):
            raise InputError(
                f"{kind}.{name} must be a section, named with letters, digits and . _ + -"
            )
        tables = cast("dict[str, Any]", content)
        own = {key: value for key, value in tables.items() if key not in SECTIONS}
        overrides[kind, name] = {
            key: section_of(tables, key, f"{kind}.{name}.") for key in tables if key in SECTIONS
        }
        sections[name] = build(target, own, f"{kind}.{name}")
    return sections


def _check_arms(
    options: CompareOptions, settings: Mapping[str, SettingConfig], arms: Mapping[str, ArmConfig]
) -> None:
    """InputError where an option names an arm that is not there, or names arms or seeds twice."""

    def check_arm(key: str, arm: str) -> None:
        require(key, arm, arm in arms, f"an arm; there are: {', '.join(arms)}")

    check_arm("compare.baseline", options.baseline)
    for pair in options.contrasts:
        for arm in pair:
            check_arm("compare.contrasts", arm)
        fits = len(set(pair)) == len(pair) == 2
        require("compare.contrasts", list(pair), fits, "two different arms")
    for arm in options.examine.watch:
        check_arm("compare.examine.watch", arm)
    for name, setting in settings.items():
        key = f"settings.{name}.more_seeds"
        for arm, seeds in setting.more_seeds.items():
            check_arm(key, arm)
            fits = are_seeds(seeds) and not set(seeds) & set(options.seeds)
            require(f"{key}.{arm}", seeds, fits, "different whole numbers not in compare.seeds")


def merged(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables joined. Later values win."""
    result: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            before = result.get(key, {})
            both = isinstance(value, Mapping) and isinstance(before, Mapping)
            result[key] = merged(before, value) if both else value
    return result
