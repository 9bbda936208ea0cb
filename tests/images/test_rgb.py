"""Laws of the one reader and writer: what goes out comes back, pictures are upright, and what is
wrong is one InputError naming it."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from ibsd.images.rgb import (
    IMAGE_SUFFIXES,
    Photo,
    bicubic,
    image_size,
    is_image_name,
    photo_from_image,
    read_photo,
    read_rgb,
    to_array,
    to_tensor,
    write_photo,
    write_rgb,
)
from ibsd.types import InputError

ORIENTATIONS = range(1, 9)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


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


def png16(path: Path, channels: int) -> None:
    """Pillow cannot write 16-bit RGB, so by hand."""
    rows = b"".join(b"\0" + bytes(4 * 2 * channels) for _ in range(4))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 4, 4, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def refused(path: Path) -> str:
    """The sentence, after checking its form."""
    with pytest.raises(InputError) as caught:
        read_rgb(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


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
    array = np.array(blocks())
    write_rgb(tmp_path / f"a{suffix}", array)
    assert (
        np.abs(read_rgb(tmp_path / f"a{suffix}").astype(int) - array).mean() < 9
    )  # WebP halves the colours' resolution


@pytest.mark.parametrize(
    ("grey", "alpha"), [(False, False), (False, True), (True, False), (True, True)]
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_and_grey_are_kept(tmp_path: Path, suffix: str, grey: bool, alpha: bool) -> None:
    rgb = np.repeat(noise(5, 4, 1), 3, axis=2) if grey else noise(5, 4)
    photo = Photo(rgb, noise(5, 4, 1, seed=1)[..., 0] if alpha else None, grey)
    write_photo(tmp_path / f"a{suffix}", photo)
    back = read_photo(tmp_path / f"a{suffix}")
    assert np.array_equal(back.rgb, rgb)
    assert back.grey == grey
    assert (back.alpha is None) == (photo.alpha is None)
    if back.alpha is not None and photo.alpha is not None:
        assert np.array_equal(back.alpha, photo.alpha)


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
    photo = read_photo(path)
    assert photo.rgb.shape[:2] == image_size(path) == upright.size[::-1]
    assert np.abs(photo.rgb.astype(int) - np.array(upright.convert("RGB"))).mean() < 8


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_metadata_travels_without_what_is_no_longer_true(tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    blocks().save(tmp_path / "in.jpg", exif=some_exif(6), icc_profile=profile)
    photo = read_photo(tmp_path / "in.jpg")
    write_photo(tmp_path / f"out{suffix}", photo)
    back = read_photo(tmp_path / f"out{suffix}")
    assert back.icc == profile
    exif = Image.Exif()
    exif.load(back.exif or b"")
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769) == {0x9003: "2020:01:01 00:00:00"}
    assert exif.get_ifd(0x8825)[2] == (48.0, 8.0, 0.0)
    assert 0x0112 not in exif
    assert back.rgb.shape == photo.rgb.shape == (40, 24, 3)


def test_broken_exif_does_not_cost_the_picture(tmp_path: Path) -> None:
    blocks().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photo = read_photo(tmp_path / "a.jpg")
    assert photo.rgb.shape == (24, 40, 3)
    assert photo.exif is None


def test_palettes_transparent_colours_and_bilevel(tmp_path: Path) -> None:
    blocks().quantize(16).save(tmp_path / "p.png")
    assert not read_photo(tmp_path / "p.png").grey
    blocks().quantize(16).save(tmp_path / "pt.png", transparency=bytes([0, 128]))
    alpha = read_photo(tmp_path / "pt.png").alpha
    assert alpha is not None
    assert {0, 128} <= set(np.unique(alpha))
    Image.new("L", (3, 2), 7).save(tmp_path / "lt.png", transparency=7)
    photo = read_photo(tmp_path / "lt.png")
    assert photo.grey
    assert photo.alpha is not None
    assert photo.alpha.max() == 0
    Image.new("1", (3, 2), 1).save(tmp_path / "b.png")
    assert read_photo(tmp_path / "b.png").grey
    assert read_rgb(tmp_path / "b.png").min() == 255


def test_cmyk_with_and_without_a_usable_profile(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    ink.save(tmp_path / "a.jpg", quality=100)
    ink.save(
        tmp_path / "b.jpg",
        quality=100,
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )
    for name in ("a.jpg", "b.jpg"):
        photo = read_photo(tmp_path / name)
        assert photo.icc is None
        assert np.abs(photo.rgb.astype(int) - [255, 0, 0]).max() < 4


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
    png16(tmp_path / "a.png", channels)
    assert "8 bits" in refused(tmp_path / "a.png")


def test_deep_tiff_and_arrays_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((3, 3), np.uint16)).save(tmp_path / "a.tif")
    assert "8 bits" in refused(tmp_path / "a.tif")
    Image.fromarray(np.zeros((3, 3), np.float32)).save(tmp_path / "f.tif")
    assert "8 bits" in refused(tmp_path / "f.tif")
    with pytest.raises(InputError, match="8 bits"):
        photo_from_image(Image.new("I", (2, 2)))


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


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_photo(path, Photo(noise(2, 2)))
    assert path.read_text() == "mine"
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        write_photo(tmp_path / "link.png", Photo(noise(2, 2)))
    write_photo(path, Photo(noise(2, 2)), force=True)
    assert read_rgb(path).shape == (2, 2, 3)


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
        write_photo(path, Photo(noise(2, 2)), force=True)
    assert path.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_files_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_rgb(tmp_path / "a.png", noise(2, 2))
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_formats_that_cannot_hold_the_photograph_are_refused(tmp_path: Path) -> None:
    clear = Photo(noise(2, 2), noise(2, 2, 1)[..., 0])
    for name, photo, words in [
        ("a.jpg", clear, "transparency"),
        ("a.bmp", clear, "transparency"),
        ("a.webp", Photo(np.zeros((1, 16384, 3), np.uint8)), "16383 pixels"),
        ("a.gif", clear, "image format"),
        ("a", clear, "image format"),
        ("no/folder/a.png", clear, "No such file"),
    ]:
        with pytest.raises(InputError, match=words):
            write_photo(tmp_path / name, photo)
    assert not list(tmp_path.iterdir())


def test_names() -> None:
    assert all(
        is_image_name(f"a{suffix}") and is_image_name(Path(f"A{suffix.upper()}"))
        for suffix in IMAGE_SUFFIXES
    )
    assert not any(
        map(is_image_name, ["a", "a.txt", ".png", ".a.png", "._a.jpg", "a.png.part", ""])
    )


def test_every_level_survives_the_tensor() -> None:
    array = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    tensor = to_tensor(array)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert 0 == tensor.min() < tensor.max() == 1
    assert np.array_equal(to_array(tensor), array)
    assert np.array_equal(to_array(tensor[0]), array)
    assert np.array_equal(to_array(to_tensor(array[::-1, ::-1])), array[::-1, ::-1])


def test_to_array_clamps_and_rounds_halves_to_even() -> None:
    values = torch.tensor([-0.2, 1.4, 0.5 / 255, 1.5 / 255, 2.5 / 255]).expand(3, 1, 5)
    assert to_array(values)[0, :, 0].tolist() == [0, 255, 0, 2, 2]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_keeps_constants_and_centres(scale: int) -> None:
    assert torch.allclose(
        bicubic(torch.full((1, 3, 1, 5), 0.3), scale), torch.full((1, 3, scale, 5 * scale), 0.3)
    )
    ramp = torch.arange(12.0).expand(1, 1, 12, 12)
    wide = bicubic(ramp, scale)
    expected = (torch.arange(12 * scale) + 0.5) / scale - 0.5
    inner = slice(3 * scale, 9 * scale)
    assert torch.allclose(
        wide[0, 0, 0, inner], expected[inner], atol=0.05
    )  # a = -0.75 bends straight lines a little
