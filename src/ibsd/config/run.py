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
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ibsd.config.parsing import build, read_table
from ibsd.data.options import PatchOptions
from ibsd.training.options import TrainingOptions
from ibsd.types import SCALES, InputError, require


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
        require("student.scale", self.scale, self.scale in SCALES, "2, 3 or 4")


@dataclass(frozen=True)
class DataConfig(PatchOptions):
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
    memory_limit_mib: int = 0
    """Most that decoded images may take; 0 for 60 % of what is free."""
    cache: str = ""
    """Folder for a memory-mapped copy, used when the images exceed the limit."""
    photographs: str = ""
    degradations: dict[str, Any] = field(default_factory=lambda: {"camera": 1.0})
    """Share of each preset or single family (`data/presets.py`) among the patches of
    photographs."""
    softness: tuple[float, ...] = (0.0, 0.0)
    """Least and greatest standard deviation, in HR pixels, of a blur of the photographs themselves,
    HR included."""
    photograph_share: float = 0.5
    """Of the patches of a batch, where there are pairs as well."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
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
            require(
                "data.degradations",
                self.degradations,
                fits,
                "a table of presets and their shares, such as { camera = 1.0 }",
            )
            low, high = self.softness if len(self.softness) == 2 else (1, 0)
            require(
                "data.softness",
                self.softness,
                0 <= low <= high,
                "two numbers from 0 up, the least and the greatest",
            )
            require(
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
        require("run.threads", self.threads, 0 <= self.threads <= 1024, "0 to 1024")
        require("run.seed", self.seed, 0 <= self.seed < 2**63, "0 or more")
        require(
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
    training: TrainingOptions = field(default_factory=TrainingOptions)
    run: RunConfig = field(default_factory=RunConfig)


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
