"""Without the extra `upscale`, Pillow does what it can do right, and the sentence about the rest
names the extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.images import Facts, formats, open_photograph, write_photograph
from ibsd.types import InputError
from ibsd.upscaling import upscale_files
from images.oracles import camera_notes, noise, odd_profile, smooth, write_png
from upscaling.fakes import Nearest

REAL_HAS_VIPS = formats.has_vips


@pytest.fixture(autouse=True)
def no_vips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "has_vips", lambda: False)


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


def test_what_needs_the_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "deep.png", noise(4, 4, 3, 16))
    (tmp_path / "a.avif").write_bytes(b"")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.fromarray(smooth(60, 60)).save(tmp_path / "large.png")
    for name in ("deep.png", "a.avif", "large.png"):
        with pytest.raises(InputError, match=r"pip install 'ibsd\[upscale\]'") as caught:
            open_photograph(tmp_path / name)
        assert name in str(caught.value)
    for name, facts in (("b.avif", Facts(4, 4)), ("b.png", Facts(4, 4, bits=16))):
        with pytest.raises(InputError, match=r"pip install 'ibsd\[upscale\]'"):
            write_photograph(tmp_path / name, facts, iter([noise(4, 4)]))


def test_what_is_broken_does_not_name_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(InputError, match="not an image") as caught:
        open_photograph(tmp_path / "a.png")
    assert "pip" not in str(caught.value)


def test_an_old_libvips_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of Debian 12, 8.14, cannot write PNG as asked, and 8.17 takes a TIFF cut short for
    whole."""
    pyvips = pytest.importorskip("pyvips")
    has_vips = REAL_HAS_VIPS.__wrapped__
    assert has_vips()
    monkeypatch.setattr(pyvips, "at_least_libvips", lambda major, minor: (major, minor) <= (8, 17))
    assert not has_vips()
