"""Laws of tiling: kept parts cover the image once, and tiles equal the whole where the network's
reach allows it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

from ibsd.students import STUDENTS, create_student
from ibsd.types import InputError
from ibsd.upscaling.tiling import spans, tiled
from upscaling.fakes import Convolutions, Nearest


def test_kept_parts_cover_once_with_context_on_both_sides() -> None:
    for length in range(1, 60):
        for tile in (5, 8, 16, 100):
            for overlap in range((tile - 1) // 2 + 1):
                found = spans(length, tile, overlap)
                assert found[0].kept_from == 0
                assert found[-1].kept_to == length
                assert all(left.kept_to == right.kept_from for left, right in pairwise(found))
                for span in found:
                    end = span.start + min(tile, length)
                    assert 0 <= span.start <= span.kept_from < span.kept_to <= end <= length
                    assert span.start == 0 or span.kept_from - span.start >= overlap
                    assert end == length or end - span.kept_to >= overlap


def test_an_overlap_that_leaves_nothing_is_refused() -> None:
    for tile, overlap in [(8, 4), (0, 0), (10, -1)]:
        with pytest.raises(InputError, match="larger tile"):
            spans(20, tile, overlap)


def run(student: torch.nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """The student on arrays, in the precision of the array."""

    def call(lr: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return student(torch.from_numpy(lr)).numpy()

    return call


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (37, 5), (23, 41), (16, 16)])
@pytest.mark.slow
def test_tiles_equal_the_whole_from_the_receptive_field_on(
    scale: int, size: tuple[int, int]
) -> None:
    student, lr = run(Convolutions(scale, depth=3).double()), noise(1, 3, *size)
    for tile, overlap in [(7, 3), (16, 3), (16, 5)]:
        assert np.allclose(
            tiled(student, lr, scale, tile, overlap), student(lr), rtol=0, atol=1e-12
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STUDENTS))
def test_every_network_says_how_far_it_sees(name: str) -> None:
    """So tiles equal the whole for those of the registry that do not pool over their input; random
    weights are as good as others here."""
    torch.manual_seed(0)
    with torch.device("meta"):
        spec = create_student(name, 2).spec
    if spec.pools_globally:
        return
    student = create_student(name, 2).double().eval()
    reach = spec.receptive_field_px
    tile, lr = 2 * reach + 16, noise(1, 3, 2 * reach + 40, 20)
    assert np.allclose(tiled(run(student), lr, 2, tile, reach), run(student)(lr), rtol=0, atol=1e-9)


def test_less_overlap_than_the_receptive_field_shows() -> None:
    """Otherwise the law above would hold for the wrong reason."""
    student, lr = run(Convolutions(2, depth=3).double()), noise(1, 3, 20, 20)
    assert not np.allclose(tiled(student, lr, 2, 8, 2), student(lr), rtol=0, atol=1e-6)


@pytest.mark.parametrize("blend", [1, 4, 6])
@pytest.mark.parametrize("size", [(70, 90), (37, 61), (20, 100), (30, 30)])
def test_where_tiles_differ_they_go_over_evenly(blend: int, size: tuple[int, int]) -> None:
    """A network whose result is the mean of what it sees, on a ramp: without bands it jumps at
    every border; with them a step is at most the largest difference of neighbours over the band's
    length, and the middle of every tile is its own."""

    def run(lr: np.ndarray) -> np.ndarray:
        return np.broadcast_to(
            lr.mean(axis=(2, 3), keepdims=True), (1, 3, lr.shape[2] * 2, lr.shape[3] * 2)
        )

    tile, overlap = 30, 8
    lr = np.broadcast_to(
        np.linspace(0, 1, size[0])[:, None] + np.linspace(0, 1, size[1]), (1, 3, *size)
    )
    sharp, soft = tiled(run, lr, 2, tile, overlap), tiled(run, lr, 2, tile, overlap, blend)
    for axis in (2, 3):
        jump = np.abs(np.diff(sharp, axis=axis)).max(initial=0)
        assert (
            np.abs(np.diff(soft, axis=axis)).max(initial=0) <= jump / (4 * blend) + 1e-6
        )  # float32
    for row in spans(size[0], tile, overlap):
        for column in spans(size[1], tile, overlap):
            middle = row.kept_from + row.kept_to, column.kept_from + column.kept_to
            if all(span.kept_to - span.kept_from > 2 * blend for span in (row, column)):
                assert soft[0, 0, middle[0], middle[1]] == sharp[0, 0, middle[0], middle[1]]


def test_where_tiles_agree_bands_change_nothing() -> None:
    lr = noise(1, 3, 70, 41).astype(np.float32)
    assert np.array_equal(tiled(run(Nearest()), lr, 2, 24, 5, 5), lr.repeat(2, 2).repeat(2, 3))


def test_all_tiles_have_one_size_and_a_small_image_goes_whole() -> None:
    student, lr = Nearest(), noise(1, 3, 29, 18)
    assert np.array_equal(tiled(run(student), lr, 2, 12, 2), lr.repeat(2, 2).repeat(2, 3))
    assert set(student.sizes) == {(12, 12)}
    student.sizes.clear()
    tiled(run(student), lr, 2, 29, 4)
    assert student.sizes == [(29, 18)]


def test_a_student_of_another_scale_is_refused() -> None:
    with pytest.raises(InputError, match="scale 3"):
        tiled(run(Nearest(2)), noise(1, 3, 4, 4), 3, 16, 4)
