"""Patches: every crop is the numpy slice it claims to be, LR and HR stay registered, and the order
is repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tiny
from ibsd.data.image_stack import resident_stacks
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


@pytest.mark.slow
@given(
    sizes=st.lists(st.tuples(st.integers(8, 20), st.integers(8, 20)), min_size=1, max_size=4),
    seed=st.integers(0, 2**31),
    patch=st.integers(4, 8),
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


def test_images_smaller_than_a_patch_are_the_users_mistake():
    with pytest.raises(InputError, match="2 training images"):
        tiny.source(patch_px=9, sizes=((9, 8), (8, 20), (9, 9)))


def test_hr_of_another_size_is_refused_and_not_read_past_its_end():
    lr, hr = tiny.stack([(10, 10), (10, 12)]), tiny.stack([(20, 20), (20, 20)])
    with pytest.raises(AssertionError, match="check_pairs"):
        PairPatches(lr, hr, 2, PatchOptions(1, 8), seed=0)
