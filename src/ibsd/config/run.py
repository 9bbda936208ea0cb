"""A run, described in TOML: frozen dataclasses, checked when read, with every mistake named by its
key.

    [student]            # network, scale and its own options
    [data]               # pairs and patches
    [objective]          # name and the objective's own options: the keyword arguments of its class
    [training]
    [run]

`load_config("run.toml", ["training.num_steps=100", "run.folder=runs/short"])` reads a file and then
overrides single keys.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
import math
import tomllib
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ibsd.types import SCALES, InputError


@dataclass(frozen=True)
class StudentConfig:
    """Which network: `name` and `scale` as for `ibsd.create_student`; `options` are its keyword
    arguments."""

    name: str = "imdn"
    scale: int = 4
    options: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    """Weight file to start from; empty for a fresh network."""
    trunk: bool = False
    """Take from `weights` only what has the same shape here: of another scale, all but the
    upsampler."""

    def __post_init__(self) -> None:
        check("student.scale", self.scale, self.scale in SCALES, "2, 3 or 4")


@dataclass(frozen=True)
class DataConfig:
    """Where pairs or photographs are, and how patches are cut.

    Pairs: `pairs`, a folder in the published layout (train_LR, train_HR, val_LR, ...) or another
    that `data/layouts.py` knows, or `lr` and `hr`
    for training, with `val_lr` and `val_hr` where there are any. Without pairs, or beside them:
    `photographs`, a folder of sharp photographs,
    each patch of which is degraded anew.
    """

    pairs: str = ""
    lr: str = ""
    hr: str = ""
    val_lr: str = ""
    val_hr: str = ""
    select: str = ""
    """Pattern of the pair names to use in train, val and test, such as `Canon*`; empty for all."""
    drop: str = ""
    """List of files to leave out, as `ibsd doctor` writes it; its relative paths lie in `pairs`."""
    batch_size: int = 16
    patch_px: int = 48
    """LR side of a patch."""
    augment: bool = True
    memory_limit_mib: int = 0
    """Most that decoded images may take; 0 for 60 % of what is free."""
    cache: str = ""
    """Folder for a memory-mapped copy, used when the images exceed the limit."""
    photographs: str = ""
    degradations: dict[str, Any] = field(default_factory=lambda: {"camera": 1.0})
    """Share of each preset or single family (`data/families.py`) among the patches of
    photographs."""
    softness: tuple[float, ...] = (0.0, 0.0)
    """Least and greatest standard deviation, in HR pixels, of a blur of the photographs themselves,
    HR included."""
    photograph_share: float = 0.5
    """Of the patches of a batch, where there are pairs as well."""

    def __post_init__(self) -> None:
        check("data.batch_size", self.batch_size, self.batch_size >= 1, "at least 1")
        check("data.patch_px", self.patch_px, self.patch_px >= 4, "at least 4")
        check(
            "data.memory_limit_mib", self.memory_limit_mib, self.memory_limit_mib >= 0, "0 or more"
        )
        if bool(self.lr) != bool(self.hr) or bool(self.val_lr) != bool(self.val_hr):
            raise InputError(
                "data: lr and hr (and val_lr and val_hr) go together; give both folders"
            )
        if (self.pairs and self.lr) or not (self.pairs or self.lr or self.photographs):
            raise InputError(
                "data: give pairs (a folder with train_LR, train_HR, ...), or lr and hr (two folders), or photographs (a folder), "
                "or photographs and one of the others"
            )
        if self.photographs:
            shares = self.degradations.values()
            fits = (
                bool(shares)
                and all(isinstance(share, int | float) and share >= 0 for share in shares)
                and sum(shares) > 0
            )
            check(
                "data.degradations",
                self.degradations,
                fits,
                "a table of presets and their shares, such as { camera = 1.0 }",
            )
            low, high = self.softness if len(self.softness) == 2 else (1, 0)
            check(
                "data.softness",
                self.softness,
                0 <= low <= high,
                "two numbers from 0 up, the least and the greatest",
            )
            check(
                "data.photograph_share",
                self.photograph_share,
                0 < self.photograph_share < 1,
                "between 0 and 1",
            )


@dataclass(frozen=True)
class ObjectiveConfig:
    """What to minimise: `name` is one of `distillation/registry.py`; `options` are the keyword
    arguments of its class."""

    name: str = "ibsd"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScheduleConfig:
    """Learning rate over the run; see `ibsd.training.Schedule`."""

    kind: Literal["constant", "step", "cosine"] = "cosine"
    warm_up: int = 0
    milestones: tuple[int, ...] = (100_000, 200_000, 300_000, 400_000)
    gamma: float = 0.5
    final_factor: float = 0.0

    def __post_init__(self) -> None:
        check("training.schedule.warm_up", self.warm_up, self.warm_up >= 0, "0 or more")
        check("training.schedule.gamma", self.gamma, 0 < self.gamma <= 1, "above 0 and at most 1")
        check(
            "training.schedule.final_factor",
            self.final_factor,
            0 <= self.final_factor <= 1,
            "in 0 to 1",
        )


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how; see `ibsd.training.Trainer` for what each does."""

    num_steps: int = 100_000
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema_decay: float = 0.999
    clip_norm: float = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = False
    compile_mode: Literal["", "default", "reduce-overhead"] = ""
    skip_threshold: float = 10.0
    max_consecutive_skips: int = 100
    log_every: int = 100
    diagnostics_every: int = 500
    validate_every: int = 1000
    checkpoint_every: int = 1000
    keep: int = 2

    def __post_init__(self) -> None:
        check("training.num_steps", self.num_steps, self.num_steps >= 1, "at least 1")
        check(
            "training.learning_rate",
            self.learning_rate,
            0 < self.learning_rate < 1,
            "above 0 and below 1",
        )
        check(
            "training.weight_decay",
            self.weight_decay,
            0 <= self.weight_decay < 1,
            "0 or more and below 1",
        )
        check(
            "training.ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "0 or more and below 1"
        )
        check("training.clip_norm", self.clip_norm, self.clip_norm >= 0, "0 or more")
        check("training.skip_threshold", self.skip_threshold, self.skip_threshold > 1, "above 1")
        for name in ("max_consecutive_skips", "keep"):
            check(f"training.{name}", getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("log_every", "diagnostics_every", "validate_every", "checkpoint_every"):
            check(
                f"training.{name}",
                getattr(self, name),
                getattr(self, name) >= 0,
                "0 (never) or more",
            )


@dataclass(frozen=True)
class RunConfig:
    """Where a run lives and what makes it repeatable."""

    folder: str = ""
    """Takes checkpoints, logs, pictures and weights; default `runs/<name of the config file>`."""
    seed: int = 0
    """Of the network's initial weights and of the order of the data, each with its own
    generator."""
    data_seed: int = -1
    """Of the order of the data where it shall differ from `seed`; -1 for the same."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:0`."""
    threads: int = 0
    """Threads of the CPU; 0 leaves torch's choice."""
    deterministic: bool = False
    """Whether torch may use only algorithms that give the same bits again, on CUDA too; slower
    there, and refused where there is none."""

    def __post_init__(self) -> None:
        check("run.threads", self.threads, 0 <= self.threads <= 1024, "0 to 1024")
        check("run.seed", self.seed, 0 <= self.seed < 2**63, "0 or more")
        check(
            "run.data_seed",
            self.data_seed,
            -1 <= self.data_seed < 2**63,
            "-1 (as run.seed) or more",
        )


@dataclass(frozen=True)
class Config:
    """A whole run."""

    student: StudentConfig = field(default_factory=StudentConfig)
    data: DataConfig = field(default_factory=lambda: DataConfig(pairs="pairs"))
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    run: RunConfig = field(default_factory=RunConfig)


def read_table(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The tables of a TOML file with overrides. Errors: InputError naming a file that is missing,
    unreadable or no TOML, or the override."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such config file; check the name (ibsd's own are in configs/ of its repository)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a config ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not valid TOML ({error})") from None
    for override in overrides:
        apply_override(table, override)
    return table


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Config of a TOML file with overrides like "training.num_steps=100"; values are TOML, and bare
    words are strings.

    Errors: InputError naming file and key for a missing file, bad TOML, an unknown key, a wrong
    type or a value out of range.
    """
    path = Path(path)
    table = read_table(path, overrides)
    try:
        config = build(Config, table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    folder = config.run.folder or f"runs/{path.stem}"
    return dataclasses.replace(config, run=dataclasses.replace(config.run, folder=folder))


def as_table(config: Config) -> dict[str, Any]:
    """Plain nested dict of all values, as stored beside a run."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def apply_override(table: dict[str, Any], override: str) -> None:
    """Sets "section.key=value" in a nested table."""
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(
            f"override {override!r} must look like section.key=value, for example training.num_steps=100"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise InputError(f"override {override!r}: {key} is a value, not a section")
    table[keys[-1]] = value


def build(target: type[Any], table: dict[str, Any], where: str = "") -> Any:
    """A dataclass from a table, after checking keys and types."""
    return target(**checked_arguments(target, table, where))


def checked_arguments(target: Callable[..., Any], table: Any, where: str) -> dict[str, Any]:
    """Keyword arguments for `target` out of a table: unknown keys and wrong types are errors that
    name `where`.key."""
    if not isinstance(table, dict):
        raise InputError(f"{where} is {table!r}; it must be a section, [{where}]")
    hints = typing.get_type_hints(
        target if inspect.isclass(target) and dataclasses.is_dataclass(target) else target.__init__
    )
    allowed = [
        name
        for name in inspect.signature(target).parameters
        if name != "student" or dataclasses.is_dataclass(target)
    ]
    arguments = {}
    for key, value in table.items():
        name = f"{where}.{key}" if where else key
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(allowed)}"
            raise InputError(f"unknown key {name!r}; {hint}")
        arguments[key] = checked_value(hints[key], value, name)
    return arguments


KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "a section",
}


def checked_value(hint: Any, value: Any, name: str) -> Any:
    """`value`, converted where that loses nothing, if it is of the annotated type."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, name)
    if hint is Any:
        return value
    if origin is Literal:
        if value in choices:
            return value
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in choices:
            return None
        return checked_value(
            next(choice for choice in choices if choice is not type(None)), value, name
        )
    if origin in (tuple, Sequence):
        if isinstance(value, list | tuple):
            return tuple(
                checked_value(choices[0], item, f"{name}[{k}]") for k, item in enumerate(value)
            )
        raise InputError(f"{name} is {value!r}; it must be a list")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    expected: type = origin or hint
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{name} is {value!r}; it must be {KINDS[expected]}")
    if expected is int and not -(2**63) <= value < 2**63:
        raise InputError(f"{name} is {value}; it must fit into 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} is {value}; it must be finite")
    return value


def check(name: str, value: object, fits: bool, must_be: str) -> None:
    """Raises the sentence for a value out of range."""
    if not fits:
        raise InputError(f"{name} is {value!r}; it must be {must_be}")
