"""Patches: every crop is the numpy slice it claims to be, LR and HR stay registered, and the order
is repeatable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tiny
from ibsd.data import patches
from ibsd.data.image_stack import ImageStack, augment, resident_stacks
from ibsd.data.options import PatchOptions
from ibsd.data.pairs import Pair
from ibsd.data.patches import PairPatches
from ibsd.types import InputError, Origin

SIZES = [(9, 12), (10, 8), (8, 15)]


def by_numpy(path: Path, top: int, left: int, size_px: int, augmentation: int) -> np.ndarray:
    """The patch cut from the file, [3, size_px, size_px] in [0, 1]: mirror left and right, then up
    and down, then transpose."""
    crop = np.asarray(Image.open(path))[top : top + size_px, left : left + size_px]
    if augmentation & 1:
        crop = crop[:, ::-1]
    if augmentation & 2:
        crop = crop[::-1]
    if augmentation & 4:
        crop = crop.swapaxes(0, 1)
    return crop.transpose(2, 0, 1).astype(np.float32) / 255


def origins(*rows: tuple[int, int, int, int]) -> Origin:
    return Origin(*(torch.tensor(column) for column in zip(*rows, strict=True)))


@pytest.fixture(scope="module", params=[2, 3, 4])
def files(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, list[Pair]]:
    return request.param, tiny.write_pairs(tmp_path_factory.mktemp("pairs"), SIZES, request.param)


@pytest.mark.parametrize("augmentation", range(8))
def test_crops_are_numpy_slices_of_the_files(files: tuple[int, list[Pair]], augmentation: int):
    scale, pairs = files
    lr, hr = resident_stacks(pairs)
    source = PairPatches(lr, hr, scale, PatchOptions(1, 5), seed=0)
    rows = [
        (0, 4, 7, augmentation),
        (1, 0, 0, augmentation),
        (1, 5, 3, augmentation),
        (2, 3, 10, augmentation),
        (2, 1, 2, augmentation),
    ]
    batch = source.cut(origins(*rows))
    for n, (index, top, left, _) in enumerate(rows):
        pair = pairs[index]
        np.testing.assert_array_equal(
            batch.lr[n].numpy(), by_numpy(pair.lr, top, left, 5, augmentation)
        )
        np.testing.assert_array_equal(
            batch.hr[n].numpy(),
            by_numpy(pair.hr, scale * top, scale * left, 5 * scale, augmentation),
        )


def test_lr_and_hr_stay_registered_in_random_batches(files: tuple[int, list[Pair]]):
    scale, pairs = files
    lr, hr = resident_stacks(pairs)
    source = PairPatches(lr, hr, scale, PatchOptions(64, 6), seed=3)
    batch = source.next_batch()
    assert torch.equal(batch.hr[..., ::scale, ::scale], batch.lr)  # HR repeats the LR pixels
    assert torch.equal(batch.hr[..., scale - 1 :: scale, scale - 1 :: scale], batch.lr)
    assert sorted(set(batch.origin.augmentation.tolist())) == list(range(8))


def test_whole_images_are_the_files(files: tuple[int, list[Pair]]):
    _, pairs = files
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


# -- draws
# --------------------------------------------------------------------------------------------------------------------------


@given(
    sizes=st.lists(st.tuples(st.integers(4, 20), st.integers(4, 20)), min_size=1, max_size=4),
    seed=st.integers(0, 2**31),
    patch=st.integers(1, 4),
)
def test_draws_stay_inside(sizes: list[tuple[int, int]], seed: int, patch: int):
    source = tiny.source(patch_px=patch, batch_size=40, seed=seed, sizes=tuple(sizes))
    for image, top, left, augmentation in zip(*(x.tolist() for x in source.draw()), strict=True):
        assert 0 <= image < len(sizes)
        assert 0 <= top <= sizes[image][0] - patch
        assert 0 <= left <= sizes[image][1] - patch
        assert 0 <= augmentation < 8


def test_every_place_image_and_augmentation_is_drawn_about_equally_often():
    source = tiny.source(patch_px=8, batch_size=24_000, sizes=((9, 10), (8, 8)))
    origin = source.draw()
    assert torch.bincount(origin.image).tolist() == pytest.approx([12_000, 12_000], rel=0.05)
    assert torch.bincount(origin.augmentation).tolist() == pytest.approx([3000] * 8, rel=0.1)
    first = origin.image == 0
    places = (origin.top[first] * 3 + origin.left[first]).bincount()
    assert places.tolist() == pytest.approx([2000] * 6, rel=0.12)
    assert int(origin.top[~first].max()) == int(origin.left[~first].max()) == 0


def test_without_augmentation_the_places_are_the_same():
    plain, turned = tiny.source(augment=False), tiny.source(augment=True)
    for _ in range(5):
        ours, theirs = plain.draw(), turned.draw()
        assert ours.augmentation.tolist() == [0] * 3
        assert all(torch.equal(x, y) for x, y in zip(ours[:3], theirs[:3], strict=True))


def test_state_brings_the_same_draws():
    source = tiny.source(seed=5)
    source.next_batch()
    again = tiny.source(seed=99)
    again.load_state(source.state())
    for _ in range(4):
        ours, theirs = source.next_batch(), again.next_batch()
        assert torch.equal(ours.lr, theirs.lr)
        assert torch.equal(ours.hr, theirs.hr)
    assert source.digest == again.digest


def test_the_seed_decides_and_the_global_generator_has_no_part():
    first, second, other = tiny.source(seed=1), tiny.source(seed=1), tiny.source(seed=2)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batch = first.next_batch()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    torch.rand(5)
    assert torch.equal(second.next_batch().lr, batch.lr)
    assert not torch.equal(other.next_batch().lr, batch.lr)


# -- memory
# -------------------------------------------------------------------------------------------------------------------------


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

    monkeypatch.setattr(patches, "load_pair", lambda pair: pytest.fail("decoded again"))
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
from ibsd.data.patches import resident_stacks
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


def test_images_smaller_than_a_patch_are_the_users_mistake():
    with pytest.raises(InputError, match="2 training images"):
        tiny.source(patch_px=9, sizes=((9, 8), (8, 20), (9, 9)))


def test_hr_of_another_size_is_refused_and_not_read_past_its_end():
    lr, hr = tiny.stack([(10, 10), (10, 12)]), tiny.stack([(20, 20), (20, 20)])
    with pytest.raises(AssertionError, match="check_pairs"):
        PairPatches(lr, hr, 2, PatchOptions(1, 8), seed=0)


def test_no_pairs_at_all():
    with pytest.raises(InputError, match="pairs"):
        resident_stacks([])
