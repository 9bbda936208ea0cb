"""Laws of writing with Pillow: what is written comes back, and a failed write changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ibsd.images import (
    InMemory,
    PhotographHeader,
    image_size,
    read_rgb,
    read_with_pillow,
    write_rgb,
)
from ibsd.images.pillow_writer import write_with_pillow
from ibsd.types import InputError
from images.oracles import noise, smooth
from images.round_trip import in_memory


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3)])
def test_lossless_formats_give_back_what_was_written(
    tmp_path: Path, suffix: str, size: tuple[int, int]
) -> None:
    array = noise(*size)
    path = tmp_path / f"a{suffix}"
    write_rgb(path, array)
    assert np.array_equal(read_rgb(path), array)
    assert image_size(path) == size
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_stay_close(tmp_path: Path, suffix: str) -> None:
    array = smooth(24, 40)
    write_rgb(tmp_path / f"a{suffix}", array)
    # WebP halves the resolution of the colours.
    assert np.abs(read_rgb(tmp_path / f"a{suffix}").astype(int) - array).mean() < 2


@pytest.mark.parametrize(
    ("grey", "alpha"), [(False, False), (False, True), (True, False), (True, True)]
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_and_grey_are_kept(tmp_path: Path, suffix: str, grey: bool, alpha: bool) -> None:
    photograph = in_memory(noise(5, 4, (1 if grey else 3) + alpha))
    write_with_pillow(tmp_path / f"a{suffix}", photograph)
    back = read_with_pillow(tmp_path / f"a{suffix}")
    assert back.header == photograph.header
    assert np.array_equal(back.pixels, photograph.pixels)
    assert np.array_equal(read_rgb(tmp_path / f"a{suffix}"), photograph.rgb)


@pytest.mark.parametrize("failing", ["os.replace", "PIL.Image.Image.save"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    path = tmp_path / "a.png"
    path.write_text("mine")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(failing, fail)
    with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt):
        write_rgb(path, noise(2, 2))
    assert path.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_files_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_rgb(tmp_path / "a.png", noise(2, 2))
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_formats_that_cannot_hold_the_photograph_are_refused(tmp_path: Path) -> None:
    clear = in_memory(noise(2, 2, 4))
    wide = InMemory(PhotographHeader(1, 16384), np.zeros((1, 16384, 3), np.uint8))
    for name, photograph, words in [
        ("a.jpg", clear, "transparency"),
        ("a.bmp", clear, "transparency"),
        ("a.webp", wide, "16383 pixels"),
        ("a.gif", clear, "image format"),
        ("a", clear, "image format"),
        ("a.avif", clear, "choose one of"),
        ("no/folder/a.png", clear, "No such file"),
    ]:
        with pytest.raises(InputError, match=words):
            write_with_pillow(tmp_path / name, photograph)
    assert not list(tmp_path.iterdir())
