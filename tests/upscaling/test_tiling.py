"""Laws of tiling: kept parts cover the image once, and tiles equal the whole where the network's reach allows it."""

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
def test_tiles_equal_the_whole_from_the_receptive_field_on(scale: int, size: tuple[int, int]) -> None:
    student, lr = run(Convolutions(scale, depth=3).double()), noise(1, 3, *size)
    for tile, overlap in [(7, 3), (16, 3), (16, 5)]:
        assert np.allclose(tiled(student, lr, scale, tile, overlap), student(lr), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", list(STUDENTS))
def test_every_network_says_how_far_it_sees(name: str) -> None:
    """So tiles equal the whole for those of the registry that do not pool over their input; random weights are as good as others here."""
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
