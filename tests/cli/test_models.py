"""`ibsd models`, and upscaling without naming weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.data.samples import sample_pair
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.weights import SHIPPED

from .conftest import Call, assert_one_sentence


@pytest.mark.slow
def test_models_lists_weights_and_networks(ibsd: Call) -> None:
    said = ibsd("models")
    assert said.code == 0
    assert all(name in said.out for name in (*SHIPPED, "imdn", "span"))


def test_upscale_needs_no_weights(ibsd: Call, tmp_path: Path) -> None:
    write_rgb(tmp_path / "small.png", sample_pair("chelsea", 4)[0][:40, :50])
    said = ibsd("upscale", tmp_path / "small.png", "-o", tmp_path / "large.png")
    assert said.code == 0, said.err
    assert read_rgb(tmp_path / "large.png").shape == (160, 200, 3)


def test_a_scale_without_weights_and_one_beside_weights(ibsd: Call, tmp_path: Path) -> None:
    for arguments in (("--scale", "3"), ("--scale", "4", "--weights", "imdn-x4")):
        assert_one_sentence(
            ibsd("upscale", tmp_path / "small.png", "-o", tmp_path / "x.png", *arguments), "weights"
        )
