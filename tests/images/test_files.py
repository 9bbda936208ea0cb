"""Laws of opening and writing photographs with the library that is there: libvips, or Pillow."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forbidden import forbidden
from ibsd.images import (
    PhotographHeader,
    files,
    open_photograph,
    to_eight_bits,
    write_photograph,
)
from ibsd.types import InputError
from ibsd.upscaling import upscale_files
from images.oracles import camera_notes, noise, odd_profile, smooth, write_png
from images.round_trip import read, write
from upscaling.fakes import Nearest


@pytest.fixture
def no_vips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "has_vips", lambda: False)


@pytest.mark.usefixtures("no_vips")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_eight_bits_arrive_with_profile_and_notes(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    pixels = noise(9, 7, channels)
    Image.fromarray(
        pixels[..., 0] if channels == 1 else pixels,
        {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels],
    ).save(tmp_path / f"a.{suffix}", exif=camera_notes(3).tobytes(), icc_profile=odd_profile())
    (result,) = upscale_files([tmp_path / f"a.{suffix}"], tmp_path / "out", Nearest(2))
    assert result.error is None
    with Image.open(result.target) as image:
        turned = pixels[::-1, ::-1].repeat(2, 0).repeat(2, 1)
        same = (np.array(image).reshape(turned.shape) == turned)[..., : 3 if channels > 2 else 1]
        assert same[turned[..., -1] > 0].all()  # hidden colours are replaced
        assert image.getexif()[0x010F] == "Maker"
        assert image.info["icc_profile"] == odd_profile()


LOSSLESS = {"webp": {"lossless": True}}


@pytest.mark.usefixtures("no_vips")
def test_what_needs_the_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "deep.png", noise(4, 4, 3, 16))
    (tmp_path / "a.avif").write_bytes(b"")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.fromarray(smooth(60, 60)).save(tmp_path / "large.png")
    for name in ("deep.png", "a.avif", "large.png"):
        with pytest.raises(InputError, match=r"pip install 'ibsd\[upscale\]'") as caught:
            open_photograph(tmp_path / name)
        assert name in str(caught.value)
    for name, header in (
        ("b.avif", PhotographHeader(4, 4)),
        ("b.png", PhotographHeader(4, 4, bits=16)),
    ):
        with pytest.raises(InputError, match=r"pip install 'ibsd\[upscale\]'"):
            write_photograph(tmp_path / name, header, iter([noise(4, 4)]))


@pytest.mark.usefixtures("no_vips")
def test_what_is_broken_does_not_name_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(InputError, match="not an image") as caught:
        open_photograph(tmp_path / "a.png")
    assert "pip" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
@pytest.mark.parametrize("library", ["libvips", "Pillow"])
def test_the_first_frame_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, library: str
) -> None:
    if library == "Pillow":
        monkeypatch.setattr("ibsd.images.files.has_vips", lambda: False)
    else:
        pytest.importorskip("pyvips")
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **LOSSLESS.get(suffix, {}))
    with pytest.raises(InputError, match="ibsd upscale takes the first with --first-frame"):
        open_photograph(path)
    first = open_photograph(path, first_frame=True)
    assert (first.header.height, first.header.width) == (4, 6)
    assert np.array_equal(first.read(4)[..., :3], np.array(frames[0]))


def test_an_old_libvips_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of Debian 12, 8.14, cannot write PNG as asked, and 8.17 takes a TIFF cut short for
    whole."""
    pyvips = pytest.importorskip("pyvips")
    has_vips = files.has_vips.__wrapped__
    assert has_vips()
    monkeypatch.setattr(pyvips, "at_least_libvips", lambda major, minor: (major, minor) <= (8, 17))
    assert not has_vips()


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write(path, noise(2, 2))
    assert path.read_text() == "mine"
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        write(tmp_path / "link.png", noise(2, 2))
    write_photograph(path, PhotographHeader(2, 2), iter([noise(2, 2)]), force=True)
    assert read(path)[0].height == 2


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        write(tmp_path / "a.png", noise(2, 2))
    assert not list(tmp_path.iterdir())


def test_sixteen_bits_are_rounded_to_eight_and_eight_stay() -> None:
    deep = np.array([0, 128, 129, 33_000, 65_535], np.uint16)
    assert to_eight_bits(deep).tolist() == [0, 0, 1, 128, 255]
    levels = np.array([0, 3, 255], np.uint8)
    assert to_eight_bits(levels).tolist() == [0, 3, 255]


def test_a_photograph_in_a_place_that_may_not_be_looked_into() -> None:
    with forbidden() as folder, pytest.raises(InputError, match=r"a\.png cannot be read"):
        open_photograph(folder / "a.png")
