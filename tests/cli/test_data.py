"""`ibsd data`: one sheet, or shards; nothing overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.data.samples import sample
from ibsd.images.rgb import read_rgb, write_rgb

from .conftest import Call, assert_one_sentence


@pytest.mark.slow
def test_a_sheet_of_every_preset(ibsd: Call, tmp_path: Path) -> None:
    write_rgb(tmp_path / "photo.png", sample("chelsea"))
    said = ibsd("data", "preview", tmp_path / "photo.png", "-o", tmp_path / "sheet.png")
    assert said.code == 0, said.err
    height, width = read_rgb(tmp_path / "sheet.png").shape[:2]
    assert height > 4 * 256 and width > 4 * 256
    before = (tmp_path / "sheet.png").read_bytes()
    assert_one_sentence(
        ibsd("data", "preview", tmp_path / "photo.png", "-o", tmp_path / "sheet.png"), "sheet.png"
    )
    assert (tmp_path / "sheet.png").read_bytes() == before


def test_bad_input_is_one_sentence(ibsd: Call, tmp_path: Path) -> None:
    write_rgb(tmp_path / "photo.png", sample("chelsea")[:40, :40])
    assert_one_sentence(ibsd("data", "preview", tmp_path / "photo.png"), "both sides need 64")
    assert_one_sentence(ibsd("data", "preview", tmp_path / "absent.png"), "absent.png")
    assert_one_sentence(
        ibsd("data", "preview", tmp_path / "photo.png", "--scale", "5"), "--scale is 5"
    )
    assert_one_sentence(ibsd("data", "shard", tmp_path), "add -o FOLDER")
    assert_one_sentence(
        ibsd("data", "shard", tmp_path, "-o", "shards", "--crop-px", "100"), "--crop-px is 100"
    )
    assert_one_sentence(ibsd("data", "shard", tmp_path, "-o", "shards"), "too small")


def test_shards_are_made_and_said(ibsd: Call, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    write_rgb(tmp_path / "photos" / "a.png", sample("chelsea")[:40, :40])
    write_rgb(tmp_path / "photos" / "b.png", sample("chelsea")[:20, :20])
    call = ("data", "shard", tmp_path / "photos", "-o", tmp_path / "shards", "--crop-px", "36")
    said = ibsd(*call)
    assert said.code == 0 and "1 crop of 1 photograph in 1 shard, 0 MB, 1 left out" in said.out
    assert "b.png: 20x20 pixels" in said.err
    assert ibsd(*call).out == said.out
    assert_one_sentence(ibsd(*call, "--seed", "1"), "other photographs or settings", "--force")
    assert ibsd(*call, "--seed", "1", "--force", "--json").code == 0
