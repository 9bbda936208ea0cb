"""The config of a run: one frozen dataclass a section, checked when it is made.

    [student]            # network, scale and its own options
    [data]               # pairs and patches
    [objective]          # name, and the options of its class
    [training]           # `ibsd.training.TrainingOptions`
    [run]                # folder, seed, device

`load_config("run.toml", ["training.num_steps=100", "run.folder=runs/short"])` reads a file and then
overrides single keys.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ibsd.config.parsing import build, read_table
from ibsd.data.options import PatchOptions
from ibsd.training.options import TrainingOptions
from ibsd.types import InputError, require, require_scale


@dataclass(frozen=True)
class StudentConfig:
    """Which network, as for `ibsd.create_student`."""

    name: str = "imdn"
    """One of those that `ibsd students` lists."""
    scale: int = 4
    """1 (repairs) to 4."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keyword arguments of the network, such as `width`."""
    weights: str = ""
    """Weight file to start from; empty for a fresh network."""
    trunk: bool = False
    """Take from `weights` only what has the same shape here. From another scale that is all but the
    upsampler."""

    def __post_init__(self) -> None:
        require_scale("student.scale", self.scale)


@dataclass(frozen=True)
class DataConfig(PatchOptions):
    """Where pairs or photographs are, and how patches are cut.

    Give `pairs`, or `lr` and `hr`, or `photographs`, or photographs beside one of the others.
    """

    pairs: str = ""
    """Folder in the published layout (train_LR, train_HR, val_LR, ...) or another one that
    `data/layouts.py` knows."""
    lr: str = ""
    """Folder of LR training images; `hr` has those of the same names."""
    hr: str = ""
    """Folder of HR training images."""
    val_lr: str = ""
    """The same for validation, if `pairs` holds none."""
    val_hr: str = ""
    """Folder of HR validation images."""
    select: str = ""
    """Pattern of the pair names to use in train, val and test, such as `Canon*`; empty for all."""
    drop: str = ""
    """List of files to leave out, as `ibsd doctor` writes it; relative paths lie in `pairs`."""
    groups: tuple[str, ...] = ()
    """Patterns of names, such as ["Canon*", "Nikon*"]: the groups of training pairs whose losses
    `regularised` makes equal. Every training pair matches one."""
    memory_limit_mib: int = 0
    """Most that decoded images may take; 0 for 60 % of what is free."""
    cache: str = ""
    """Folder for a memory-mapped copy, used when the images exceed the limit."""
    photographs: str = ""
    """Folder of sharp photographs, or of their shards (`ibsd data shard`). Every patch is degraded
    anew."""
    degradations: dict[str, Any] = field(default_factory=lambda: {"camera": 1.0})
    """Share of each preset or single family (`data/presets.py`) among the patches of
    photographs."""
    softness: tuple[float, ...] = (0.0, 0.0)
    """Least and greatest standard deviation, in HR pixels, of a blur of the photographs, HR
    included."""
    photograph_share: float = 0.5
    """Share of photographs among the patches of a batch, where there are pairs as well."""

    def __post_init__(self) -> None:
        super().__post_init__()
        limit = self.memory_limit_mib
        require("data.memory_limit_mib", limit, limit >= 0, "0 or more")
        if bool(self.lr) != bool(self.hr) or bool(self.val_lr) != bool(self.val_hr):
            raise InputError("data: lr and hr go together, and val_lr and val_hr: give both")
        if (self.pairs and self.lr) or not (self.pairs or self.lr or self.photographs):
            raise InputError(
                "data: give pairs (a folder), or lr and hr (two folders), or photographs (a "
                "folder), or photographs with one of the others"
            )
        if self.photographs:
            self.check_photographs()

    def check_photographs(self) -> None:
        shares = self.degradations.values()
        are_shares = all(isinstance(share, int | float) and share >= 0 for share in shares)
        a_table = "a table of presets and their shares, such as { camera = 1.0 }"
        fits = are_shares and 0 < sum(shares) < math.inf
        require("data.degradations", self.degradations, fits, a_table)
        low, high = self.softness if len(self.softness) == 2 else (1, 0)
        two_numbers = "two numbers from 0 up, the least and the greatest"
        require("data.softness", self.softness, 0 <= low <= high, two_numbers)
        share = self.photograph_share
        require("data.photograph_share", share, 0 < share < 1, "between 0 and 1")


@dataclass(frozen=True)
class ObjectiveConfig:
    """What to minimise."""

    name: str = "ibsd"
    """One of `distillation/registry.py`."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Options of its class, such as `lambda_mi`."""


@dataclass(frozen=True)
class RunConfig:
    """Where a run lives and what makes it repeatable."""

    folder: str = ""
    """Receives checkpoints, logs, images and weights; default `runs/<name of the config file>`."""
    seed: int = 0
    """Of the network's initial weights and of the order of the data, which have generators of their
    own."""
    data_seed: int = -1
    """Of the order of the data, if it is to differ from `seed`; -1 for the same."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:0`."""
    threads: int = 0
    """Threads of the CPU. 0 takes OMP_NUM_THREADS, else half the cores, 1 to 4. `run.json` records
    the number, and a resumed run keeps it, because another one rounds differently."""
    deterministic: bool = False
    """Use only algorithms that give the same bits again, on CUDA too. Slower there, and an error
    where torch has no such algorithm."""

    def __post_init__(self) -> None:
        require("run.threads", self.threads, 0 <= self.threads <= 1024, "0 to 1024")
        require("run.seed", self.seed, 0 <= self.seed < 2**63, "0 or more")
        fits = -1 <= self.data_seed < 2**63
        require("run.data_seed", self.data_seed, fits, "-1 (as run.seed) or more")


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

    Errors: InputError naming file or override, and key, for a missing file, bad TOML, an unknown
    key, a wrong type or a value out of range.
    """
    path = Path(path)
    table = read_table(path, overrides)
    try:
        config = build(Config, table)
    except InputError as error:
        keys = {re.escape(one.partition("=")[0].strip()): one for one in overrides}
        named = (one for key, one in keys.items() if re.search(rf"\b{key}\b", str(error)))
        raise InputError(f"{next(named, path)}: {error}") from None
    folder = config.run.folder or f"runs/{path.stem}"
    return dataclasses.replace(config, run=dataclasses.replace(config.run, folder=folder))


def as_table(config: Config) -> dict[str, Any]:
    """Plain nested dict of all values, as stored beside a run."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
