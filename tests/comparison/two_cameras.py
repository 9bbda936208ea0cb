"""A comparison of seconds on crops of the photographs in the package, named as two cameras would
name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ibsd.commands.compare import compare
from ibsd.comparison.results import Results
from ibsd.config.comparison import load_compare_config
from ibsd.data.samples import SPLITS, sample_pair
from ibsd.images.rgb import write_rgb

CROP_PX = 16
TOML = """
[compare]
folder = "results"
work = "work"
seeds = [0, 1]
[base.student]
scale = 2
options = { width = 8, num_blocks = 3 }
[base.data]
pairs = "pairs"
batch_size = 2
patch_px = 8
[base.training]
num_steps = 6
log_every = 2
diagnostics_every = 3
checkpoint_every = 6
[settings.one]
data.select = "a*"
[settings.one.tests.new]
select = "b*"
splits = ["train", "test"]
role = "unseen"
[arms.plain]
objective.name = "plain"
[arms.ibsd]
objective.name = "ibsd"
objective.options = { warm_up = 0, ramp = 0, period = 2, pool = 0 }
"""


def write_crops(folder: Path, num_train: int = 2, num_test: int = 2) -> Path:
    """Pairs in the published layout: of each photograph one crop by camera a and one by camera
    b."""
    for split, number in (("train", num_train), ("test", num_test)):
        for name in SPLITS[split][:number]:
            lr, hr = sample_pair(name, 2)
            for start, camera in ((60, "a"), (100, "b")):
                stop = start + CROP_PX
                for side, pixels, scale in (("LR", lr, 1), ("HR", hr, 2)):
                    (folder / f"{split}_{side}").mkdir(parents=True, exist_ok=True)
                    crop = pixels[start * scale : stop * scale, start * scale : stop * scale].copy()
                    write_rgb(folder / f"{split}_{side}" / f"{camera}_{name}.png", crop)
    return folder


def probe_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at no accuracy of a probe."""
    for steps in ("LINEAR_STEPS", "MLP_STEPS"):
        monkeypatch.setattr(f"ibsd.analysis.degradation_probe.{steps}", 3)


def run_compare(path: str, overrides: Sequence[str] = (), **options: Any) -> Results:
    """`ibsd compare` of a config file, in this process."""
    return compare(load_compare_config(path, overrides), **options)


def set_up(folder: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, toml: str = TOML) -> Path:
    """A working folder with the comparison's config, made the current one."""
    folder.mkdir(exist_ok=True)
    (folder / "compare.toml").write_text(toml)
    (folder / "pairs").symlink_to(pairs)
    monkeypatch.chdir(folder)
    return folder
