"""Laws of upscaling one picture: the same kind comes out, alpha and grey stay, hidden colours stay
hidden, the student is as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import tiny
from ibsd.images.rgb import to_array, to_tensor, write_rgb
from ibsd.students import load_student
from ibsd.types import InputError
from ibsd.upscaling import upscale
from upscaling.fakes import Convolutions, Nearest


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def repeated(array: np.ndarray, scale: int) -> np.ndarray:
    return array.repeat(scale, axis=0).repeat(scale, axis=1)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 7)])
def test_arrays_come_out_as_arrays(size: tuple[int, int], scale: int) -> None:
    student = Nearest(scale)
    for array in (noise(*size, 3), noise(*size)):
        assert np.array_equal(upscale(array, student), repeated(array, scale))
    opaque = np.dstack((noise(*size, 3), np.full(size, 255, np.uint8)))
    assert np.array_equal(upscale(opaque, student), repeated(opaque, scale))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pillow_images_keep_their_mode(mode: str) -> None:
    image = Image.fromarray(noise(6, 5, 3)).convert(mode)
    bigger = upscale(image, Nearest(2))
    assert (bigger.mode, bigger.size) == (mode, (10, 12))
    assert np.array_equal(np.array(bigger), repeated(np.array(image), 2))
    assert image.size == (5, 6)


@pytest.mark.parametrize(("mode", "becomes"), [("P", "RGB"), ("1", "L"), ("CMYK", "RGB")])
def test_other_modes_become_the_nearest(mode: str, becomes: str) -> None:
    assert upscale(Image.fromarray(noise(6, 5, 3)).convert(mode), Nearest(2)).mode == becomes


def test_a_path_gives_an_upright_image_and_writes_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    stored = Image.fromarray(noise(6, 4, 3))
    stored.save(tmp_path / "a.png", exif=exif, icc_profile=b"profile")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        bigger = upscale(path, Nearest(2))
        assert np.array_equal(
            np.array(bigger), repeated(np.array(stored.transpose(Image.Transpose.ROTATE_270)), 2)
        )
        assert bigger.info["icc_profile"] == b"profile"
        assert dict(bigger.getexif()) == {0x010F: "Maker"}
    assert len(list(tmp_path.iterdir())) == 1


def test_tiles_equal_the_whole_picture() -> None:
    student, array = Convolutions(2, depth=3), noise(90, 41, 3)
    whole = upscale(array, student, "whole")
    assert np.abs(upscale(array, student, 16).astype(int) - whole).max() <= 1  # a rounding may tip
    assert np.array_equal(whole, to_array(student(to_tensor(array))))


def test_auto_is_one_fixed_tile() -> None:
    student = Nearest(2)
    array = noise(300, 520, 3)
    assert np.array_equal(upscale(array, student), repeated(array, 2))
    assert set(student.sizes) == {(256, 256)}
    student.sizes.clear()
    upscale(noise(256, 100, 3), student)
    assert student.sizes == [(256, 100)]


def test_the_student_runs_in_eval_without_gradients_and_is_left_as_it_was() -> None:
    student = Nearest(2)
    student.add_module("frozen", nn.BatchNorm2d(3).eval())
    upscale(noise(4, 4, 3), student)
    assert student.modes == {False}
    assert student.training
    assert not student.get_submodule("frozen").training

    class Broken(Nearest):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no")

    broken = Broken(2)
    with pytest.raises(RuntimeError, match="no"):
        upscale(noise(4, 4, 3), broken)
    assert broken.training


def test_any_callable_will_do_with_a_scale() -> None:
    array = noise(3, 3, 3)
    assert np.array_equal(
        upscale(array, lambda lr: lr.repeat_interleave(3, 2).repeat_interleave(3, 3), scale=3),
        repeated(array, 3),
    )
    with pytest.raises(InputError, match="give scale"):
        upscale(array, lambda lr: lr)
    with pytest.raises(InputError, match="made for scale 2, not 3"):
        upscale(array, Nearest(2), scale=3)


def test_grey_is_the_mean_of_the_channels() -> None:
    def tinted(lr: torch.Tensor) -> torch.Tensor:
        return lr * torch.tensor([0.5, 1.0, 1.5])[:, None, None]

    array = noise(5, 5) // 2
    assert np.array_equal(upscale(array, tinted, scale=1), array)


@pytest.mark.parametrize("hidden", [0, 255])
def test_colours_under_transparency_do_not_bleed(hidden: int) -> None:
    """A red disc on transparent ground; whatever colour lies under the ground, every pixel that can
    be seen stays red."""
    rows, columns = np.mgrid[:21, :30]
    disc = (rows - 10) ** 2 + (columns - 14) ** 2 < 50
    array = np.full((21, 30, 4), hidden, np.uint8)
    array[..., 3] = 255 * disc
    array[disc, :3] = (200, 30, 30)

    def blurring(lr: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(
            nn.functional.interpolate(lr, scale_factor=2, mode="bicubic"),
            5,
            1,
            2,
            count_include_pad=False,
        )

    bigger = upscale(array, blurring, scale=2)
    seen = bigger[..., 3] > 0
    assert 0 < seen.mean() < 1
    assert np.abs(bigger[seen][:, :3].astype(int) - (200, 30, 30)).max() <= 1


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    student = Nearest(2)
    for array in (
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 3), np.uint32),
        noise(4),
        noise(4, 4, 2),
        noise(2, 4, 4, 3),
        noise(0, 4, 3),
    ):
        with pytest.raises(InputError, match="is no picture"):
            upscale(array, student)
    with pytest.raises(InputError, match="a list cannot be upscaled"):
        upscale([[1]], student)  # pyright: ignore
    with pytest.raises(InputError, match="8 bits"):
        upscale(Image.new("I;16", (4, 4)), student)
    with pytest.raises(InputError, match="does not exist"):
        upscale(tmp_path / "a.png", student)
    write_rgb(tmp_path / "a.png", noise(4, 4, 3))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    with pytest.raises(InputError, match=r"a\.png"):
        upscale(tmp_path / "a.png", student)


@pytest.mark.parametrize("tile", [0, -1, 15, True, 2.5, "big", None])
def test_wrong_tiles_are_refused(tile: object) -> None:
    with pytest.raises(InputError, match="tile is"):
        upscale(noise(4, 4, 3), Nearest(2), tile)  # pyright: ignore


@pytest.mark.slow
def test_shipped_weights_by_name_and_none_for_one_tile() -> None:
    picture = noise(9, 8, 3)
    expected = upscale(picture, load_student("imdn-small-x4"), "none")
    assert np.abs(upscale(picture, "imdn-small-x4", "none").astype(int) - expected).max() <= 2
    with pytest.raises(InputError, match="no such weight file"):
        upscale(picture, "imdn-x5")


def test_a_diverged_student_is_named() -> None:
    with pytest.raises(InputError, match="not a number"):
        upscale(noise(4, 4, 3), lambda lr: lr / 0 * 0, scale=1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_student_runs_in_the_precision_of_its_weights(dtype: torch.dtype) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    student = tiny.student().eval()
    expected = upscale(picture, student).astype(int)
    assert np.abs(upscale(picture, student.to(dtype)) - expected).max() <= 4
