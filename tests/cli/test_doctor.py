"""`ibsd doctor`: what it prints and writes, and that `ibsd train` takes its list."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ibsd.images.rgb import read_rgb, write_rgb

from .conftest import Call, assert_one_sentence


@pytest.mark.slow
def test_examine_then_train(ibsd: Call, config: Path, pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(pairs, tmp_path / "mine")
    (tmp_path / "mine" / "train_LR" / "b.png").write_bytes(b"broken")
    for side in ("LR", "HR"):
        write_rgb(
            tmp_path / "mine" / f"train_{side}" / "leak.png",
            read_rgb(pairs / f"test_{side}" / "d.png"),
        )
    assert ibsd("train", config, "data.pairs=mine").code == 2
    said = ibsd("doctor", "mine", "-o", "checkup")
    assert said.code == 0, said.err
    for word in (
        "published layout",
        "x2",
        "leak: 1 pair",
        "unusable: 1 pair",
        "to leave out: 4 files",
        "obey it: data.drop=checkup/drop.txt",
    ):
        assert word in said.out, said.out
    facts = json.loads(Path("checkup/doctor.json").read_text())
    assert facts["counts"] == {"leak": 1, "unusable": 1}
    assert len(facts["drop"]) == 4
    assert "<html" in Path("checkup/doctor.html").read_text()
    assert ibsd("train", config, "data.pairs=mine", "data.drop=checkup/drop.txt").code == 0
    assert_one_sentence(ibsd("doctor", "mine", "-o", "checkup"), "exists already", "--force")
    assert ibsd("doctor", "mine", "-o", "checkup", "--force").code == 0


def test_for_machines(ibsd: Call, pairs: Path) -> None:
    said = ibsd("doctor", pairs, "--json")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out)["scale"] == 2
    two = ibsd("doctor", "--lr", pairs / "train_LR", "--hr", pairs / "train_HR", "--json")
    assert json.loads(two.out)["layout"] == "two folders"


def test_wrong_calls(ibsd: Call, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_one_sentence(ibsd("doctor"), "name the folder of pairs")
    assert_one_sentence(ibsd("doctor", pairs, "--lr", pairs), "--lr and --hr")
    assert_one_sentence(ibsd("doctor", "nowhere"), "nowhere")
    assert_one_sentence(ibsd("doctor", "empty"), "empty")
    assert_one_sentence(ibsd("doctor", pairs, "--scale", 5), "--scale is 5")
    assert_one_sentence(ibsd("doctor", pairs, "--max-shift", 0), "--max-shift")
