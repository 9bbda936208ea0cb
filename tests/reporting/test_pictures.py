"""Pictures are shown where methods differ most, in every version."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ibsd.evaluation.scores import BICUBIC
from ibsd.reporting.pictures import (
    Box,
    Scene,
    before_after,
    contact_sheet,
    enlarged_parts,
    scenes_section,
    telling_boxes,
    telling_parts,
)
from reporting.pages import assert_stands_alone, noise


def scene(name: str, difference: int, at: tuple[int, int] = (0, 0), methods: int = 2) -> Scene:
    """Grey, but for one part where the last method is lighter by so many levels."""
    grey = np.full((144, 192, 3), 100, np.uint8)
    lighter = grey.copy()
    lighter[at[0] : at[0] + 36, at[1] : at[1] + 48] += np.uint8(difference)
    versions = (
        {BICUBIC: np.zeros_like(grey)}
        | {f"m{k}": grey for k in range(methods - 1)}
        | {"last": lighter}
    )
    return Scene(name, grey[::4, ::4].copy(), versions, grey, dict.fromkeys(versions, 30.0))


def test_parts_lie_where_trained_methods_differ_whatever_bicubic_does() -> None:
    found = telling_parts(
        [scene("dull", 10), scene("telling", 90, (100, 140))], count=2, height=36, width=48
    )
    assert [each.name for each, _ in found] == ["telling", "dull"]
    assert found[0][1] == Box(100, 140, 36, 48)
    assert found[0][1].top % 4 == found[0][1].left % 4 == 0


def test_one_method_is_held_against_bicubic() -> None:
    one = scene("one", 50, methods=1)
    assert len(one.compared) == 2
    assert len(telling_parts([one], count=3)) == 3


def test_small_pictures_are_shown_whole() -> None:
    black, dark = np.zeros((16, 16, 3), np.uint8), np.ones((16, 16, 3), np.uint8)
    versions = {BICUBIC: black, "a": dark}
    small = Scene("s", black[:8, :8], versions, black, {BICUBIC: 1.0, "a": 2.0})
    assert telling_parts([small], 3) == [(small, Box(0, 0, 16, 16))]
    text = scenes_section([small])
    assert_stands_alone(text)
    assert scenes_section([]) == ""


def test_a_part_is_shown_in_every_version() -> None:
    text = enlarged_parts(scene("s<b", 50), Box(0, 0, 36, 48), named=True)
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == [
        "LR",
        BICUBIC,
        "m0",
        "last",
        "HR",
    ]
    assert text.count(' alt="') == 5
    assert "s&lt;b" in text


def test_boxes_are_where_images_differ_and_do_not_overlap() -> None:
    one = np.zeros((60, 80, 3), np.uint8)
    other = one.copy()
    other[12:24, 33:48] = 255
    first, *rest = telling_boxes([one, other], 12, 15, count=3, grid=3)
    assert first == Box(12, 33, 12, 15)
    for box in rest:
        assert abs(box.top - first.top) >= 12 or abs(box.left - first.left) >= 15
        assert box.top % 3 == box.left % 3 == 0


def test_a_box_is_the_same_part_of_a_smaller_image() -> None:
    small = noise(20, 30)
    large = small.repeat(3, 0).repeat(3, 1)
    box = Box(12, 33, 12, 15)
    assert np.array_equal(box.of(small, 3).repeat(3, 0).repeat(3, 1), box.of(large))


def test_boxes_larger_than_the_image_are_none() -> None:
    assert telling_boxes([noise(8, 8), noise(8, 8, 1)], 12, 12, count=3) == []


@pytest.mark.parametrize("size", [(504, 504), (60, 90), (5, 7)])
def test_before_after_keeps_the_halves(size: tuple[int, int]) -> None:
    before, after = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    sheet = before_after(before, after, ("bicubic", "IBSD"))
    assert sheet.shape[1] == size[1]
    assert sheet[0, 0].tolist() == [0, 0, 0]
    assert sheet[0, -1].tolist() == [255, 255, 255]


def test_contact_sheet_holds_every_image() -> None:
    lr, hr = noise(4, 6), noise(8, 12)
    sheet = contact_sheet([[lr, hr]], ("LR", "HR"))
    assert np.array_equal(sheet[-8:, :12], lr.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(sheet[-8:, -12:], hr)
