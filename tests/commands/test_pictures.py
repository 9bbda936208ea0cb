"""Pictures of a run's page come from val, or from the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ibsd.commands.pictures import centre, pictures_of, spread
from ibsd.data.pairs import Pair
from ibsd.data.samples import UPSCALING_SAMPLE, write_sample_pairs
from ibsd.reporting.stored_run import StoredRun
from reporting.pages import noise


@pytest.mark.slow
def test_pictures_come_from_val_and_from_the_package_where_it_is_gone(tmp_path: Path) -> None:
    pairs = write_sample_pairs(tmp_path / "pairs", 4)
    gone = {
        "student": {"name": "imdn", "scale": 4},
        "objective": {"name": "plain"},
        "data": {"pairs": str(tmp_path / "pairs")},
    }
    run = StoredRun("run", {"config": gone}, [], [])
    found, what = pictures_of(run)
    assert [name for name, _, _ in found] == [pair.name for pair in pairs.val]
    assert "val" in what
    shutil.rmtree(tmp_path / "pairs")
    found, what = pictures_of(run)
    assert UPSCALING_SAMPLE in [name for name, _, _ in found]
    assert "inside ibsd" in what


def test_pictures_are_spread_over_the_set_and_their_middle_is_taken() -> None:
    pairs = [Pair(str(number), Path(), Path()) for number in range(100)]
    assert [pair.name for pair in spread(pairs, 4)] == ["0", "25", "50", "75"]
    assert spread(pairs[:2], 4) == pairs[:2]
    lr, hr = noise(30, 50), noise(60, 100)
    small, large = centre(lr, hr, 20)
    assert (small.shape, large.shape) == ((20, 20, 3), (40, 40, 3))
    assert (small == lr[5:25, 15:35]).all() and (large == hr[10:50, 30:70]).all()
