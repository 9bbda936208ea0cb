"""`ibsd register`: what it says, and its mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ibsd.cli.register import outcome, summary
from ibsd.commands.register import RegisterResult, SceneRecord
from ibsd.data.samples import sample
from ibsd.images.rgb import write_rgb
from ibsd.registration.planted import plant

from .conftest import Call, assert_one_sentence


@pytest.mark.slow
def test_register(ibsd: Call, tmp_path: Path) -> None:
    scene = plant(np.ascontiguousarray(sample("stream")[:300, :340]), 2, 0)
    for side, pixels in (("near", scene.hr), ("far", scene.lr)):
        (tmp_path / side).mkdir()
        write_rgb(f"{side}/a.png", pixels)
    said = ibsd("register", "near", "far", "-o", "pairs", "--crop", 64)
    assert said.code == 0, said.err
    assert "1 of 1 scenes registered at x2: train" in said.out
    assert "matched by name" in said.err and "for train, corners known to" in said.err
    again = ibsd("register", "near", "far", "-o", "pairs", "--crop", 64, "--json")
    assert (again.code, again.err) == (0, "1 scene, matched by name\n")
    assert json.loads(again.out)["scale"] == 2


def test_a_scene_without_pairs_says_why(tmp_path: Path) -> None:
    dropped = {"known too badly": 5, "moved or changed": 1}
    scene = SceneRecord("a", "a.png", "a.png", "val", [], corner_px=0.04, dropped=dropped)
    assert "0 pairs for val (5 known too badly, 1 moved or changed), corners" in outcome(scene)
    assert "a smaller --crop" in summary(RegisterResult("by name", 2, [scene], tmp_path))
    scene.crops = ["a-y00000-x00000.png"]
    assert "1 pair for val, corners" in outcome(scene)
    assert "none is for train" in summary(RegisterResult("by name", 2, [scene], tmp_path))


def test_wrong_calls(ibsd: Call, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    assert_one_sentence(ibsd("register", "near", "far"), "add -o FOLDER")
    assert_one_sentence(ibsd("register", "near", "-o", "x"), "two folders are needed")
    assert_one_sentence(ibsd("register", "a", "b", "-o", "x", "--chart", "print"), "leave out b")
    assert_one_sentence(
        ibsd("register", "a", "b", "-o", "x", "--chart-size", "a4"), "add --chart screen"
    )
    assert_one_sentence(ibsd("register", "near", "far", "-o", "x", "--scale", 5), "--scale is 5")
    assert_one_sentence(ibsd("register", "near", "far", "-o", "x", "--jobs", -1), "--jobs is -1")
    assert_one_sentence(ibsd("register", "near", "far", "-o", "x"), "near", "does not exist")
    assert_one_sentence(ibsd("register", "far", "far", "-o", "x"), "holds no images")
    assert_one_sentence(ibsd("register", "near", "far", "-o", "x", "--crop", 4), "(--crop) is 4")
    assert not (tmp_path / "x").exists()
