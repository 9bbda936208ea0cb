"""A checkup on a cluster is that of one machine. Ray is left out here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cluster.fakes import without_ray
from ibsd.commands.doctor import examine_pairs
from ibsd.data.samples import sample_pair
from ibsd.images.rgb import write_rgb
from ibsd.system import json_text


@pytest.mark.slow
def test_a_cluster_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, name in (("train", "chelsea"), ("train", "coffee"), ("test", "chelsea")):
        for side, pixels, size in zip(("LR", "HR"), sample_pair(name, 2), (40, 80), strict=True):
            folder = tmp_path / f"{split}_{side}"
            folder.mkdir(exist_ok=True)
            write_rgb(folder / f"{name}.png", np.ascontiguousarray(pixels[:size, :size]))
    (tmp_path / "train_LR" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "train_HR" / "broken.png").write_bytes(b"no picture")
    without_ray(monkeypatch)
    seen: list[tuple[int, int]] = []
    one, many = (
        examine_pairs(tmp_path, None, None, 2, 0.5, lambda *k: seen.append(k), cluster)
        for cluster in (None, "local")
    )
    assert json_text(many.as_json()) == json_text(one.as_json())
    assert one.counts()["unusable"] == 1 and one.counts()["leak"] == 1
    assert seen == 2 * [(1, 4), (2, 4), (3, 4), (4, 4)]

    without_ray(monkeypatch, lambda checkup: checkup.pair.name == "coffee")
    fewer = examine_pairs(tmp_path, None, None, 2, 0.5, lambda *_: None, "local")
    assert fewer.counts() == one.counts() | {"unchecked": 1}
    assert "coffee: ended 3 processes" in fewer.drop[tmp_path / "train_LR" / "coffee.png"]
    assert [pair for pair in fewer.pairs if pair.pair.name != "coffee"] == [
        pair for pair in many.pairs if pair.pair.name != "coffee"
    ]
