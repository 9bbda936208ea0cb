"""Laws of reading with Pillow: images are upright, and a bad file is one InputError that names
it."""

from __future__ import annotations

import contextlib
import io
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ibsd.images import image_size, photograph_from_pillow, read_rgb, read_with_pillow, write_rgb
from ibsd.images.pillow_writer import write_with_pillow
from ibsd.types import InputError
from images.oracles import noise, write_png

ORIENTATIONS = range(1, 9)


def blocks(height: int = 24, width: int = 40) -> Image.Image:
    """A picture that survives JPEG, with four different corners."""
    return Image.fromarray(
        np.kron(noise(height // 8, width // 8, seed=3), np.ones((8, 8, 1), np.uint8))
    )


def some_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    exif[0x8769] = {0x9003: "2020:01:01 00:00:00", 0xA002: 40, 0xA003: 24}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 0.0)}
    return exif.tobytes()


def refused(path: Path) -> str:
    """The sentence, after checking its form."""
    with pytest.raises(InputError) as caught:
        read_rgb(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("PNG", "RGB"),
        ("JPEG", "RGB"),
        ("WEBP", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "L"),
        ("TIFF", "P"),
    ],
)
def test_pictures_are_upright(tmp_path: Path, form: str, mode: str, orientation: int) -> None:
    """Each orientation against the turn it stands for; TIFF of mode L is the one that Pillow 13.0
    turns wrongly when it opens the file."""
    stored = blocks().convert(mode)
    path = tmp_path / "a"
    stored.save(
        path,
        form,
        exif=some_exif(orientation),
        **({"quality": 100} if form in ("JPEG", "WEBP") else {}),
    )
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # values of Image.Transpose
    upright = stored if orientation == 1 else stored.transpose(Image.Transpose(turn[orientation]))
    photograph = read_with_pillow(path)
    assert photograph.rgb.shape[:2] == image_size(path) == upright.size[::-1]
    assert np.abs(photograph.rgb.astype(int) - np.array(upright.convert("RGB"))).mean() < 8


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_metadata_travels_without_what_is_no_longer_true(tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    blocks().save(tmp_path / "in.jpg", exif=some_exif(6), icc_profile=profile)
    photograph = read_with_pillow(tmp_path / "in.jpg")
    write_with_pillow(tmp_path / f"out{suffix}", photograph)
    back = read_with_pillow(tmp_path / f"out{suffix}")
    assert back.header.icc == profile
    exif = Image.Exif()
    exif.load(back.header.exif or b"")
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769) == {0x9003: "2020:01:01 00:00:00"}
    assert exif.get_ifd(0x8825)[2] == (48.0, 8.0, 0.0)
    assert 0x0112 not in exif
    assert back.rgb.shape == photograph.rgb.shape == (40, 24, 3)


def test_broken_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    blocks().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photograph = read_with_pillow(tmp_path / "a.jpg")
    assert photograph.rgb.shape == (24, 40, 3)
    assert photograph.header.exif is None


def test_palettes_transparent_colours_and_bilevel(tmp_path: Path) -> None:
    blocks().quantize(16).save(tmp_path / "p.png")
    assert not read_with_pillow(tmp_path / "p.png").header.grey
    blocks().quantize(16).save(tmp_path / "pt.png", transparency=bytes([0, 128]))
    alpha = read_with_pillow(tmp_path / "pt.png").opacity
    assert alpha is not None
    assert {0, 128} <= set(np.unique(alpha))
    Image.new("L", (3, 2), 7).save(tmp_path / "lt.png", transparency=7)
    photograph = read_with_pillow(tmp_path / "lt.png")
    assert photograph.header.grey
    assert photograph.opacity is not None
    assert photograph.opacity.max() == 0
    Image.new("1", (3, 2), 1).save(tmp_path / "b.png")
    assert read_with_pillow(tmp_path / "b.png").header.grey
    assert read_rgb(tmp_path / "b.png").min() == 255


def test_premultiplied_pictures_are_divided_by_their_opacity() -> None:
    for mode, premultiplied in (("LA", "La"), ("RGBA", "RGBa")):
        image = Image.new(mode, (2, 3), (120,) * (len(mode) - 1) + (51,))
        photograph = photograph_from_pillow(image.convert(premultiplied))
        assert photograph.header == photograph_from_pillow(image).header
        assert np.array_equal(photograph.pixels, np.array(image))


def test_cmyk_with_and_without_a_usable_profile(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    ink.save(tmp_path / "a.jpg", quality=100)
    ink.save(
        tmp_path / "b.jpg",
        quality=100,
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )
    for name in ("a.jpg", "b.jpg"):
        photograph = read_with_pillow(tmp_path / name)
        assert photograph.header.icc is None
        assert np.abs(photograph.rgb.astype(int) - [255, 0, 0]).max() < 4


def test_a_phones_jpeg_with_a_second_picture_is_a_photograph(tmp_path: Path) -> None:
    blocks().save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]
    )
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    assert read_rgb(tmp_path / "a.jpg").shape == (24, 40, 3)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "missing.png")
    assert "folder" in refused(tmp_path)
    for name, content in {"text.png": b"hello", "empty.jpg": b"", "gif.png": None}.items():
        path = tmp_path / name
        blocks().save(path, "GIF") if content is None else path.write_bytes(content)
        assert "not an image" in refused(path)
    (tmp_path / "file").write_text("")
    assert "Not a directory" in refused(tmp_path / "file" / "a.png")
    with pytest.raises(InputError, match="does not exist"):
        image_size(tmp_path / "missing.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.png", noise(2, 2))
    (tmp_path / "a.png").chmod(0)
    assert "Permission denied" in refused(tmp_path / "a.png")


def test_no_permission_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    assert "Permission denied" in refused(tmp_path / "a.png")
    with pytest.raises(InputError, match="Permission denied"):
        write_rgb(tmp_path / "b.png", noise(2, 2))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_truncated_files_are_refused(tmp_path: Path, form: str) -> None:
    memory = io.BytesIO()
    Image.fromarray(noise(40, 40)).save(memory, form)
    path = tmp_path / "cut"
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(memory.getvalue()[: int(share * len(memory.getvalue()))])
        refused(path)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_any_damage_is_an_input_error_or_harmless(tmp_path: Path, form: str) -> None:
    memory = io.BytesIO()
    blocks().save(memory, form, exif=some_exif(6))
    path, dice = tmp_path / "hurt", random.Random(form)
    for _ in range(150):
        content = bytearray(memory.getvalue())
        for _ in range(dice.choice([1, 4])):
            content[dice.randrange(min(len(content), dice.choice([64, 400, 10**6])))] = (
                dice.randrange(256)
            )
        path.write_bytes(content)
        for read in (read_rgb, image_size):
            with contextlib.suppress(InputError):
                read(path)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_refused_not_cut(tmp_path: Path, channels: int) -> None:
    write_png(tmp_path / "a.png", noise(4, 4, channels, 16))
    assert "8 bits" in refused(tmp_path / "a.png")


def test_deep_tiff_and_arrays_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 3), np.uint16)).save(tmp_path / "a.tif")
    assert "8 bits" in refused(tmp_path / "a.tif")
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "f.tif")
    assert "8 bits" in refused(tmp_path / "f.tif")
    with pytest.raises(InputError, match="8 bits"):
        photograph_from_pillow(Image.new("I", (2, 2)))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_animations_and_pages_are_refused(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (4, 4)).save(
        tmp_path / f"a{suffix}", save_all=True, append_images=[Image.new("RGB", (4, 4), "red")]
    )
    assert "2 pictures" in refused(tmp_path / f"a{suffix}")


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rgb(tmp_path / "a.png", noise(40, 40))
    for limit in (1000, 100):  # above the limit Pillow warns, above twice the limit it raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert f"{limit:,} pixels" in refused(tmp_path / "a.png")
