"""`--json`: one JSON value on stdout and nothing else, from every command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ibsd.cli.main import USAGE
from ibsd.cli.terminal import print_json
from ibsd.images.rgb import write_rgb
from ibsd.weights import SHIPPED

from .conftest import Call


@pytest.mark.parametrize("command", [command.__name__ for command in USAGE])
def test_every_command_takes_it(command: str, ibsd: Call) -> None:
    assert "--json" in ibsd(command, "--help").out


def test_what_json_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({1: math.inf, "b": (Path("a/b"), [math.nan, 2.5])})
    assert json.loads(capsys.readouterr().out) == {"1": None, "b": ["a/b", [None, 2.5]]}


def test_models(ibsd: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ibsd.students.STUDENTS", ["imdn"])  # each takes its time to be counted
    found = json.loads(ibsd("models", "--json").out)
    assert [each["name"] for each in found["weights"]] == list(SHIPPED)
    assert found["networks"]["imdn"]["4"] == 715176


def test_upscale_says_what_became_of_each_file(ibsd: Call, weights: Path) -> None:
    Path("in").mkdir()
    write_rgb("in/a.png", np.zeros((9, 5, 3), np.uint8))
    Path("in/b.png").write_bytes(b"no picture")
    said = ibsd("upscale", "in", "-o", "out", "--weights", weights, "--json")
    assert said.code == 2
    good, bad = json.loads(said.out)["files"]
    assert (good["source"], good["target"], good["error"], good["skipped"]) == (
        "in/a.png",
        "out/a.png",
        None,
        False,
    )
    assert "in/b.png" in bad["error"] and "1 of 2" in said.err


@pytest.mark.slow
def test_export_and_data(ibsd: Call, weights: Path) -> None:
    found = json.loads(
        ibsd("export", weights, "--format", "safetensors", "-o", "plain.safetensors", "--json").out
    )
    assert found["file"] == "plain.safetensors"
    assert all(
        each["psnr_db"] is None or each["psnr_db"] > 90 for each in found["compared"]["fp32"]
    )
    write_rgb("photo.png", np.zeros((80, 80, 3), np.uint8))
    found = json.loads(ibsd("data", "preview", "photo.png", "--json").out)
    assert found["sheet"] == "photo-preview.png" and "camera" in found["rows"]


@pytest.mark.slow
def test_nothing_moves_where_nobody_looks(ibsd: Call, config: Path, weights: Path) -> None:
    """Not on a terminal, there are lines and no bars: no colours, no way back."""
    write_rgb("a.png", np.zeros((9, 5, 3), np.uint8))
    for arguments in (
        ["train", config, "training.num_steps=2"],
        ["upscale", "a.png", "-o", "b.png", "--weights", weights],
        ["export", weights, "--format", "safetensors", "-o", "c.safetensors"],
    ):
        said = ibsd(*arguments)
        assert said.code == 0, said.err
        assert not {"\x1b", "\r", "\b"} & set(said.out + said.err)
