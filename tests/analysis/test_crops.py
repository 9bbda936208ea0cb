"""Crops take turns over the images, and sets of images are disjoint."""

from __future__ import annotations

import pytest
import torch

import tiny
from ibsd.analysis.crops import cut_crop_sets, cut_crops, split_images
from ibsd.types import InputError


@pytest.mark.slow
def test_crops_take_turns() -> None:
    stack = tiny.stack([(9, 12), (8, 8), (20, 10)])
    crops = cut_crops(stack, per_image=4, size_px=8, seed=0)
    assert crops.image.tolist() == [0, 1, 2] * 4
    torch.testing.assert_close(crops.lr[1], stack.image(1)[0], atol=0, rtol=0)
    assert cut_crops(stack, 2, 8, seed=0, images=[2, 0]).image.tolist() == [2, 0, 2, 0]
    with pytest.raises(InputError, match="smaller than 9 px"):
        cut_crops(stack, 1, 9, seed=0)


def test_parts_of_images_are_disjoint() -> None:
    parts = split_images(10, (0.6, 0.2, 0.2), seed=0)
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(sum(parts, [])) == list(range(10))
    with pytest.raises(InputError, match="cannot be split"):
        split_images(2, (0.6, 0.2, 0.2), seed=0)


def test_crop_sets_are_of_other_images() -> None:
    crops = cut_crop_sets(tiny.stack([(10, 12)] * 10), size_px=8, per_image=4)
    assert [len(part.image) for part in crops] == [20, 8, 12]
    images = [set(part.image.tolist()) for part in crops]
    assert len(set.union(*images)) == sum(map(len, images)) == 10
