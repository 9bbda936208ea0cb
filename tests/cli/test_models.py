"""`ibsd models`, and upscaling without naming weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.data.samples import sample_pair
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.weights import SHIPPED

from .conftest import Call


@pytest.mark.slow
def test_models_lists_weights_and_networks(ibsd: Call) -> None:
    said = ibsd("models")
    assert said.code == 0
    assert all(name in said.out for name in (*SHIPPED, "imdn", "span"))
    assert "694,404" in said.out and "715,176" in said.out, "the published sizes"


def test_upscale_needs_no_weights(ibsd: Call, tmp_path: Path) -> None:
    write_rgb(tmp_path / "small.png", sample_pair("chelsea", 4)[0][:40, :50])
    said = ibsd("upscale", tmp_path / "small.png", "-o", tmp_path / "large.png")
    assert said.code == 0, said.err
    assert read_rgb(tmp_path / "large.png").shape == (160, 200, 3)


def test_without_named_weights_the_scale_chooses(ibsd: Call, tmp_path: Path) -> None:
    write_rgb(tmp_path / "small.png", sample_pair("chelsea", 4)[0][:8, :10])
    for scale, own in (("1.5", 2), ("3", 3), ("5", 4)):
        options = ("-o", tmp_path / f"{own}.png", "--scale", scale)
        said = ibsd("upscale", tmp_path / "small.png", *options)
        assert f"opening imdn-safe-x{own} " in said.out + said.err
        assert read_rgb(tmp_path / f"{own}.png").shape[0] == round(8 * float(scale))
