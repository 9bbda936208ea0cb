"""Laws of what a config becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from ibsd.assembly import find_sets
from ibsd.config.run import Config, DataConfig, StudentConfig
from ibsd.types import InputError


def test_folders_of_val_serve_where_the_folder_of_pairs_has_none(tmp_path: Path) -> None:
    tiny.write_pairs(tmp_path / "own", [(8, 8)], 2)
    tiny.write_pairs(tmp_path / "other", [(8, 8)], 2)
    for side in ("LR", "HR"):
        (tmp_path / "own" / side).rename(tmp_path / "own" / f"train_{side}")
    lr, hr = (str(tmp_path / "other" / side) for side in ("LR", "HR"))
    data = DataConfig(pairs=str(tmp_path / "own"), val_lr=lr, val_hr=hr)
    config = Config(StudentConfig(scale=2), data)
    sets = find_sets(config)
    assert [pair.lr.parent for pair in (*sets.train, *sets.val)] == [
        tmp_path / "own" / "train_LR",
        tmp_path / "other" / "LR",
    ]
    for side in ("LR", "HR"):
        (tmp_path / "own" / f"train_{side}").rename(tmp_path / "own" / f"val_{side}")
    with pytest.raises(InputError, match="has its own val: leave out"):
        find_sets(config)
