"""Shards: crops that do not overlap, files that are whole or refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from ibsd.data.shards import (
    INDEX,
    Shard,
    crops_of,
    is_shards,
    open_shards,
    read_index,
    shard_path,
    write_shard,
)
from ibsd.types import InputError

PX = 12


def write_folder(folder: Path, counts: list[int]) -> list[np.ndarray]:
    """Shards of so many random crops."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"crop_px": PX, "shards": len(counts)}
    lines, content = [json.dumps(settings)], list[np.ndarray]()
    for number, count in enumerate(counts):
        content.append(draw.integers(0, 256, (count, 3, PX, PX), np.uint8))
        shard = write_shard(folder, number, [content[-1][:1], content[-1][1:]])
        assert shard.crops == count
        lines.append(json.dumps(asdict(shard)))
    (folder / INDEX).write_text("".join(f"{line}\n" for line in lines))
    return content


def test_crops_are_different_cells_of_the_picture() -> None:
    y, x = np.mgrid[:40, :53]
    pixels = np.stack([y, x, 0 * x], axis=-1).astype(np.uint8)
    crops = crops_of(pixels, PX, 100, np.random.default_rng(0))
    assert crops.shape == (12, 3, PX, PX)
    corners = {(int(crop[0, 0, 0]), int(crop[1, 0, 0])) for crop in crops}
    assert len(corners) == 12
    for crop, (top, left) in zip(crops, [tuple(c[:2, 0, 0].tolist()) for c in crops], strict=True):
        assert (crop.transpose(1, 2, 0) == pixels[top : top + PX, left : left + PX]).all()
    assert {top % PX for top, _ in corners} == {min(corners)[0]}
    few = crops_of(pixels, PX, 5, np.random.default_rng(0))
    assert (few == crops[:5]).all()
    with pytest.raises(InputError, match="53x11 pixels"):
        crops_of(pixels[:11], PX, 5, np.random.default_rng(0))


def test_what_was_written_is_read_and_empty_shards_are_passed_over(tmp_path: Path) -> None:
    content = write_folder(tmp_path, [3, 0, 2])
    shards = open_shards(tmp_path)
    assert is_shards(tmp_path) and [shard.crops for shard in shards.shards] == [3, 2]
    for place, expected in enumerate((content[0], content[2])):
        stack = shards.stack(place, shards.read(place))
        assert torch.equal(stack.image(1)[0], torch.from_numpy(expected[1]).float() / 255)
    (tmp_path / "other").mkdir()
    write_folder(tmp_path / "other", [3, 1])
    assert open_shards(tmp_path / "other").fingerprint != shards.fingerprint


@pytest.mark.parametrize("damage", ["short", "long", "changed", "gone"])
def test_a_broken_shard_is_one_sentence(tmp_path: Path, damage: str) -> None:
    write_folder(tmp_path, [2])
    shards, path = open_shards(tmp_path), shard_path(tmp_path, 0)
    content = path.read_bytes()
    broken = {"short": content[:-1], "long": content + b"\0", "changed": b"\0" + content[1:]}
    path.unlink() if damage == "gone" else path.write_bytes(broken[damage])
    with pytest.raises(InputError, match=r"00000\.rgb .*: remove it, and run"):
        shards.read(0)
    if damage != "changed":  # sizes are looked at before training
        with pytest.raises(InputError, match=r"lacks 1 of 1 shards, such as 00000\.rgb"):
            open_shards(tmp_path)


def test_an_index_may_end_in_mid_line_and_not_be_another_file(tmp_path: Path) -> None:
    write_folder(tmp_path, [2, 2])
    index = tmp_path / INDEX
    whole = index.read_text()
    index.write_text(whole[:-30])
    _, shards = read_index(tmp_path)
    assert list(shards) == [0] and isinstance(shards[0], Shard)
    for wrong in ("", "{}\n", "no\n", whole + "{}\n"):
        index.write_text(wrong)
        with pytest.raises(InputError, match="is damaged"):
            read_index(tmp_path)
    write_folder(tmp_path / "empty", [0])
    with pytest.raises(InputError, match="holds no crops"):
        open_shards(tmp_path / "empty")
