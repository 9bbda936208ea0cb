"""Stacks of images: whole images and crops are the files' pixels, in memory or memory-mapped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from ibsd.data import image_stack
from ibsd.data.image_stack import ImageStack, augment, resident_stacks
from ibsd.data.options import PatchOptions
from ibsd.data.patches import PairPatches
from ibsd.types import InputError, Origin

SIZES = [(9, 12), (10, 8), (8, 15)]


def origins(*rows: tuple[int, int, int, int]) -> Origin:
    return Origin(*(torch.tensor(column) for column in zip(*rows, strict=True)))


def test_whole_images_are_the_files(tmp_path: Path):
    pairs = tiny.write_pairs(tmp_path, SIZES, 3)
    for side, stack in zip(("lr", "hr"), resident_stacks(pairs), strict=True):
        assert len(stack) == len(pairs)
        for index, pair in enumerate(pairs):
            expected = (
                np.asarray(Image.open(getattr(pair, side)))
                .transpose(2, 0, 1)[None]
                .astype(np.float32)
                / 255
            )
            np.testing.assert_array_equal(stack.image(index).numpy(), expected)


@pytest.mark.parametrize("augmentation", range(8))
def test_crop_equals_augment_of_the_plain_crop(augmentation: int):
    stack = tiny.stack([(11, 9), (7, 13)])
    plain, turned = (stack.crop(origins((1, 1, 5, a), (0, 4, 2, a)), 6) for a in (0, augmentation))
    assert torch.equal(turned, augment(plain, augmentation))
    assert not torch.equal(turned, plain) or augmentation == 0


def test_the_eight_augmentations_are_the_eight_symmetries():
    image = torch.arange(9).view(1, 1, 3, 3)
    assert len({tuple(augment(image, a).flatten().tolist()) for a in range(8)}) == 8
    for a in range(8):  # each maps neighbours to neighbours
        middle = augment(image, a)[0, 0]
        assert int(middle[1, 1]) == 4


def test_floating_stacks_pass_through_unscaled():
    flat = torch.rand(3 * 5 * 6, dtype=torch.float64)
    stack = ImageStack(flat, [(5, 6)])
    assert stack.image(0).dtype == torch.float32
    torch.testing.assert_close(stack.image(0).flatten(), flat.float())


def test_the_memory_mapped_copy_equals_the_resident_one_and_is_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pairs, cache, decoded = tiny.write_pairs(tmp_path / "pairs", SIZES, 2), tmp_path / "cache", []
    resident = resident_stacks(pairs)
    mapped = resident_stacks(
        pairs, memory_limit_bytes=100, cache_folder=cache, on_pair=lambda: decoded.append(1)
    )
    assert len(decoded) == len(pairs)
    batches = [
        PairPatches(*stacks, 2, PatchOptions(8, 5), seed=1).next_batch()
        for stacks in (resident, mapped)
    ]
    assert torch.equal(batches[0].lr, batches[1].lr)
    assert torch.equal(batches[0].hr, batches[1].hr)
    files = {path.name: path.stat().st_size for path in cache.iterdir()}
    assert sorted(files.values()) == [resident[0].flat.numel(), resident[1].flat.numel()]

    monkeypatch.setattr(image_stack, "load_pair", lambda pair: pytest.fail("decoded again"))
    again = resident_stacks(pairs, memory_limit_bytes=100, cache_folder=cache)
    assert torch.equal(again[1].flat, resident[1].flat)


def test_a_changed_picture_or_a_cut_cache_is_decoded_again(tmp_path: Path):
    pairs, cache = tiny.write_pairs(tmp_path / "pairs", SIZES, 2), tmp_path / "cache"
    resident_stacks(pairs, memory_limit_bytes=100, cache_folder=cache)
    for path in cache.iterdir():
        os.truncate(path, 10)
    assert torch.equal(
        resident_stacks(pairs, memory_limit_bytes=100, cache_folder=cache)[0].flat,
        resident_stacks(pairs)[0].flat,
    )
    Image.fromarray(np.full((9, 12, 3), 7, dtype=np.uint8)).save(pairs[0].lr)
    assert float(
        resident_stacks(pairs, memory_limit_bytes=100, cache_folder=cache)[0].image(0).max()
    ) == pytest.approx(7 / 255)


def test_without_a_cache_the_limit_is_the_users_to_raise(tmp_path: Path):
    pairs = tiny.write_pairs(tmp_path, SIZES, 2)
    needed = sum(3 * h * w * 5 for h, w in SIZES)
    with pytest.raises(InputError, match=r"data\.cache"):
        resident_stacks(pairs, memory_limit_bytes=needed - 1)
    resident_stacks(pairs, memory_limit_bytes=needed)


def test_a_broken_picture_leaves_no_partial_cache(tmp_path: Path):
    pairs, cache = tiny.write_pairs(tmp_path / "pairs", SIZES, 2), tmp_path / "cache"
    content = pairs[1].hr.read_bytes()
    pairs[1].hr.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="image1"):
        resident_stacks(pairs, memory_limit_bytes=100, cache_folder=cache)
    assert not list(cache.iterdir())


FULL_DISK = """
import sys
from pathlib import Path
from ibsd.data.pairs import Pair
from ibsd.data.image_stack import resident_stacks
from ibsd.types import InputError
folder, cache = map(Path, sys.argv[1:])
pair = Pair("image0", folder / "LR" / "image0.png", folder / "HR" / "image0.png")
try:
    resident_stacks([pair], memory_limit_bytes=100, cache_folder=cache)
except InputError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_full_disk_is_said_and_does_not_kill_the_process(tmp_path: Path):
    """A write to a mapped page that the disk has no room for is a SIGBUS, which no `except`
    catches."""
    tiny.write_pairs(tmp_path / "pairs", [(300, 400)], 2)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        command = [sys.executable, "-c", FULL_DISK, tmp_path / "pairs", disk]
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        left = list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)
    assert run.returncode == 0, run.stderr
    assert "space" in run.stdout
    assert str(disk) in run.stdout
    assert not left


def test_no_pairs_at_all():
    with pytest.raises(InputError, match="pairs"):
        resident_stacks([])


def test_rows_and_columns_that_make_no_lr_pixel_are_left_out(tmp_path: Path) -> None:
    pairs = tiny.write_pairs(tmp_path, SIZES, 3)
    expected = resident_stacks(pairs)
    for pair in pairs:
        hr = np.asarray(Image.open(pair.hr))
        Image.fromarray(np.pad(hr, ((0, 2), (0, 1), (0, 0)))).save(pair.hr)
    for stack, of_whole in zip(resident_stacks(pairs), expected, strict=True):
        assert stack.sizes == of_whole.sizes and torch.equal(stack.flat, of_whole.flat)
