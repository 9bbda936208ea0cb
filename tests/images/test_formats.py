"""Laws of photographs as files: what goes out comes back, against readers that share no code with
ours; nothing is half written."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, features

from ibsd.images import (
    Facts,
    InMemory,
    check_writable,
    is_photograph_name,
    open_photograph,
    write_photograph,
)
from ibsd.images.tiff_exif import add_exif_to_tiff
from ibsd.types import InputError
from images.oracles import (
    camera_notes,
    noise,
    notes_in,
    odd_profile,
    read_png,
    smooth,
    srgb_profile,
    write_png,
)

pytest.importorskip("pyvips")


def in_strips(pixels: np.ndarray, count: int = 7) -> Iterator[np.ndarray]:
    for top in range(0, len(pixels), count):
        yield pixels[top : top + count]


def facts_of(pixels: np.ndarray, **others: object) -> Facts:
    height, width, channels = pixels.shape
    return replace(
        Facts(height, width, channels < 3, channels in (2, 4), 8 * pixels.itemsize), **others
    )  # pyright: ignore


def write(path: Path, pixels: np.ndarray, quality: int = 95, **others: object) -> None:
    write_photograph(path, facts_of(pixels, **others), in_strips(pixels), quality=quality)


def read(path: Path) -> tuple[Facts, np.ndarray]:
    """All of a file, in uneven portions."""
    photograph = open_photograph(path)
    facts, rows, done = photograph.facts, [], 0
    while done < facts.height:
        rows.append(photograph.read(min(5, facts.height - done)))
        done += len(rows[-1])
    return facts, np.concatenate(rows)


# -- pixels
# -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_lossless_formats_keep_every_bit(
    tmp_path: Path, suffix: str, channels: int, bits: int
) -> None:
    for size in ((1, 1), (1, 9), (23, 17)):
        pixels, path = noise(*size, channels, bits), tmp_path / f"{size[0]}-{size[1]}{suffix}"
        write(path, pixels)
        stored = read_png(path) if suffix == ".png" else tifffile.imread(path).reshape(pixels.shape)
        assert stored.dtype == pixels.dtype
        assert np.array_equal(stored, pixels)
        facts, back = read(path)
        assert replace(facts, exif=None, dpi=None) == facts_of(pixels)
        assert np.array_equal(back, pixels)


@pytest.mark.parametrize(("channels", "bits"), [(1, 16), (2, 16), (3, 16), (4, 16), (3, 8), (4, 8)])
def test_files_of_others_are_read_with_every_bit(tmp_path: Path, channels: int, bits: int) -> None:
    pixels = noise(19, 13, channels, bits)
    write_png(tmp_path / "a.png", pixels)
    photometric = "rgb" if channels > 2 else "minisblack"
    extra = ["unassalpha"] if channels in (2, 4) else None
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels[..., 0] if channels == 1 else pixels,
        photometric=photometric,
        extrasamples=extra,
    )
    tifffile.imwrite(
        tmp_path / "big.tif",
        pixels[..., 0] if channels == 1 else pixels,
        photometric=photometric,
        extrasamples=extra,
        bigtiff=True,
    )
    for name in ("a.png", "a.tif", "big.tif"):
        facts, back = read(tmp_path / name)
        assert (facts.bits, facts.channels) == (bits, channels)
        assert np.array_equal(back, pixels), name


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossy_formats_stay_close(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = np.dstack((smooth(40, 60), 64 + smooth(40, 60)[..., :1] // 2))[..., :channels]
    if channels == 4 and suffix == ".jpg":
        return
    write(tmp_path / f"a{suffix}", pixels)
    with Image.open(tmp_path / f"a{suffix}") as image:
        stored = np.array(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])).reshape(
            pixels.shape
        )
    assert np.abs(stored.astype(int) - pixels).max() <= 6
    assert (
        np.abs(read(tmp_path / f"a{suffix}")[1][..., :3].astype(int) - pixels[..., :3]).max() <= 6
    )


def test_quality_is_obeyed(tmp_path: Path) -> None:
    for suffix in ("jpg", "webp", "avif"):
        for quality in (20, 95):
            write(tmp_path / f"{quality}.{suffix}", noise(40, 60), quality)
        assert (
            2 * (tmp_path / f"20.{suffix}").stat().st_size
            < (tmp_path / f"95.{suffix}").stat().st_size
        )


def test_colours_of_jpeg_are_not_subsampled(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, ::2, 0], pixels[:, 1::2, 2] = 255, 255
    write(tmp_path / "a.jpg", pixels, 100)
    assert np.abs(read(tmp_path / "a.jpg")[1].astype(int) - pixels).max() <= 8


def test_ten_bit_avif_keeps_its_steps(tmp_path: Path) -> None:
    import pyvips

    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None].repeat(16, 0).repeat(3, 2)
    pyvips.Image.new_from_array(ramp, interpretation="rgb16").heifsave(
        str(tmp_path / "a.avif"), compression="av1", bitdepth=10, Q=100
    )  # pyright: ignore
    facts, back = read(tmp_path / "a.avif")
    assert facts.bits == 16
    assert len(np.unique(back[8, :, 1])) > 200
    assert np.abs(back.astype(int) - ramp).max() < 65535 * 0.012
    write(tmp_path / "b.avif", back)
    assert len(np.unique(read(tmp_path / "b.avif")[1][8, :, 1])) > 200


# -- kinds of pixels
# ------------------------------------------------------------------------------------------------------------------


def test_palettes_bilevel_and_transparent_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(smooth(24, 40))
    for suffix in ("png", "tif"):
        palette = picture.quantize(16)
        palette.save(tmp_path / f"p.{suffix}")
        assert np.array_equal(read(tmp_path / f"p.{suffix}")[1], np.array(palette.convert("RGB")))
        bilevel = picture.convert("1")
        bilevel.save(tmp_path / f"b.{suffix}")
        assert np.array_equal(
            read(tmp_path / f"b.{suffix}")[1][..., 0], np.array(bilevel.convert("L"))
        )
    picture.quantize(16).save(tmp_path / "pt.png", transparency=bytes([0, 128]))
    with Image.open(tmp_path / "pt.png") as image:
        assert np.array_equal(read(tmp_path / "pt.png")[1], np.array(image.convert("RGBA")))
    Image.new("L", (3, 2), 7).save(tmp_path / "lt.png", transparency=7)
    facts, pixels = read(tmp_path / "lt.png")
    assert facts.grey and facts.alpha and pixels[..., 1].max() == 0


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
@pytest.mark.skipif(
    (features.version("littlecms2") or "") < "2.18",
    reason="Pillow's littlecms is older than libvips', and differs",
)
def test_inks_become_colours_by_their_profile(tmp_path: Path, suffix: str) -> None:
    """Against Pillow's littlecms, for a profile that libvips brings along, and by a fallback
    without one."""
    import pyvips

    picture = 70 + smooth(32, 48) // 3  # what inks can print
    rgb = pyvips.Image.new_from_array(picture, interpretation="srgb")
    inks = rgb.icc_export(output_profile="cmyk")  # pyright: ignore
    profile = inks.get("icc-profile-data")
    stored = Image.fromarray(inks.numpy(), "CMYK")
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    stored.save(tmp_path / f"a.{suffix}", icc_profile=profile, **options)
    stored.save(tmp_path / f"none.{suffix}", **options)
    facts, pixels = read(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as image:
        expected = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    assert np.abs(pixels.astype(int) - np.array(expected)).max() <= 3
    assert facts.channels == 3
    assert (
        facts.icc is None
        or ImageCms.ImageCmsProfile(BytesIO(facts.icc)).profile.xcolor_space == "RGB "
    )
    assert np.abs(read(tmp_path / f"none.{suffix}")[1].astype(int) - picture).mean() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_pictures_are_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = Image.fromarray(smooth(24, 40))
    stored.save(
        tmp_path / f"a.{suffix}",
        exif=camera_notes(orientation).tobytes(),
        **({"quality": 100} if suffix in ("jpg", "webp") else {}),
    )
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # values of Image.Transpose
    upright = stored if orientation == 1 else stored.transpose(Image.Transpose(turn[orientation]))
    facts, pixels = read(tmp_path / f"a.{suffix}")
    assert (facts.width, facts.height) == upright.size
    assert np.abs(pixels.astype(int) - np.array(upright)).max() <= 12
    write(tmp_path / f"b.{suffix}", pixels, exif=facts.exif)
    with Image.open(tmp_path / f"b.{suffix}") as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == upright.size


# -- what belongs to it
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif", "avif"])
def test_profile_notes_and_dpi_travel(tmp_path: Path, source: str, suffix: str) -> None:
    path = tmp_path / f"a.{source}"
    Image.fromarray(smooth(24, 40)).save(
        path, exif=camera_notes(6).tobytes(), icc_profile=odd_profile(), dpi=(240, 240)
    )
    facts, pixels = read(path)
    assert facts.icc == odd_profile()
    assert facts.dpi is not None and np.allclose(facts.dpi, 240, atol=0.01)
    large = pixels.repeat(2, 0).repeat(2, 1)
    write_photograph(tmp_path / f"b.{suffix}", facts.upscaled(2), in_strips(large))
    with Image.open(tmp_path / f"b.{suffix}") as image:
        assert image.info.get("icc_profile") == odd_profile()
        if suffix not in ("webp", "avif"):  # have no place for it but EXIF
            assert np.allclose(np.asarray(image.info["dpi"], float), 240, atol=0.01)
    found, expected = notes_in(tmp_path / f"b.{suffix}"), notes_in(path)
    expected[("camera", 0xA002)], expected[("camera", 0xA003)] = large.shape[1], large.shape[0]
    for key, value in expected.items():
        if key != ("main", 0x0112):
            assert found.get(key) == value, (key, value, found.get(key))
    assert found.get(("main", 0x0112), 1) == 1
    assert set(found) - set(expected) <= {
        ("main", 0x0112),
        ("camera", 0xA001),
        ("camera", 0xA000),
        ("camera", 0x9101),
        ("main", 0x0213),
    }


@pytest.mark.parametrize(
    ("order", "big"), [("<", False), (">", False), ("<", True)]
)  # Pillow cannot read the fourth
def test_notes_go_into_any_tiff(tmp_path: Path, order: str, big: bool) -> None:
    """Of either byte order, from a block of either, and above 4 GB (here as small as any)."""
    pixels = noise(9, 7)
    for mine in "<>":
        written, exif = camera_notes(), Image.Exif()
        written.endian = mine
        exif.load(written.tobytes())
        tifffile.imwrite(
            tmp_path / "a.tif", pixels, photometric="rgb", byteorder=order, bigtiff=big
        )
        before = notes_in(tmp_path / "a.tif")
        add_exif_to_tiff(tmp_path / "a.tif", written.tobytes())
        expected = {
            ("main", tag): value for tag, value in exif.items() if tag not in (0x8769, 0x8825)
        } | before
        expected |= {("camera", tag): value for tag, value in exif.get_ifd(0x8769).items()}
        expected |= {("place", tag): value for tag, value in exif.get_ifd(0x8825).items()}
        assert notes_in(tmp_path / "a.tif") == expected
        assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), pixels)


def test_a_thumbnail_is_left_behind(tmp_path: Path) -> None:
    """A second directory with a small JPEG, as cameras write it, would show the old picture in
    every file browser."""
    small = tmp_path / "small.jpg"
    Image.new("RGB", (16, 12), "red").save(small)
    block = camera_notes().tobytes()
    body = bytearray(block[6:])
    order = "<" if body[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", body, 4)
    (number,) = struct.unpack_from(order + "H", body, first)
    place = len(body)
    struct.pack_into(order + "I", body, first + 2 + 12 * number, place)
    content = small.read_bytes()
    body += struct.pack(order + "H", 2)
    body += struct.pack(order + "HHII", 0x0201, 4, 1, place + 2 + 24 + 4) + struct.pack(
        order + "HHII", 0x0202, 4, 1, len(content)
    )
    body += struct.pack(order + "I", 0) + content
    Image.fromarray(smooth(24, 40)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + bytes(body))
    assert content in (tmp_path / "a.jpg").read_bytes()
    facts, pixels = read(tmp_path / "a.jpg")
    for suffix in ("jpg", "png", "tif", "webp"):
        write(tmp_path / f"b.{suffix}", pixels, exif=facts.exif)
        assert content[20:] not in (tmp_path / f"b.{suffix}").read_bytes()
        assert notes_in(tmp_path / f"b.{suffix}")[("main", 0x010F)] == "Maker"


def test_profiles_that_do_not_fit_are_dropped_and_grey_ones_kept(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 7).save(tmp_path / "a.png", icc_profile=srgb_profile())
    assert read(tmp_path / "a.png")[0].icc is None
    Image.new("RGB", (8, 8)).save(tmp_path / "b.jpg", icc_profile=b"no profile at all")
    assert read(tmp_path / "b.jpg")[0].icc is None


def test_a_profile_for_grey_stays_with_grey(tmp_path: Path) -> None:
    import pyvips

    grey = pyvips.Image.new_from_array(smooth(9, 9)[..., 0], interpretation="b-w").icc_import(
        pcs="xyz", input_profile="sgrey"
    )  # pyright: ignore
    grey = grey.icc_export(output_profile="sgrey")
    profile = grey.get("icc-profile-data")
    Image.fromarray(smooth(9, 9)[..., 0]).save(tmp_path / "a.png", icc_profile=profile)
    facts, pixels = read(tmp_path / "a.png")
    assert facts.grey and facts.icc == profile
    for suffix, kept in (
        ("png", True),
        ("jpg", True),
        ("tif", True),
        ("webp", False),
        ("avif", False),
    ):
        write(tmp_path / f"b.{suffix}", pixels, icc=profile)
        with Image.open(tmp_path / f"b.{suffix}") as image:
            assert image.info.get("icc_profile") == (profile if kept else None), suffix
        assert (check_writable(f"b.{suffix}", facts) is None) == kept


def test_without_dpi_none_is_made_up_that_anybody_would_notice(tmp_path: Path) -> None:
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.png")
    facts, pixels = read(tmp_path / "a.png")
    assert facts.dpi is None
    write(tmp_path / "b.jpg", pixels)
    with Image.open(tmp_path / "b.jpg") as image:
        assert np.allclose(np.asarray(image.info.get("dpi", (72, 72)), float), 72, atol=0.01)


# -- what cannot be, and what goes wrong
# -------------------------------------------------------------------------------------------------


def test_formats_that_cannot_hold_it_are_refused_and_what_is_lost_is_said(tmp_path: Path) -> None:
    for name, facts, words in [
        ("a.jpg", Facts(2, 2, alpha=True), "transparency"),
        ("a.bmp", Facts(2, 2, alpha=True), "transparency"),
        ("a.webp", Facts(2, 16384), "16383 pixels"),
        ("a.avif", Facts(16385, 2), "16384 pixels"),
        ("a.jpg", Facts(65501, 2), "65500 pixels"),
        ("a.gif", Facts(2, 2), "image format"),
        ("a", Facts(2, 2), "image format"),
        ("a.heic", Facts(2, 2), "no free encoder"),
    ]:
        with pytest.raises(InputError, match=words):
            check_writable(tmp_path / name, facts)
        with pytest.raises(InputError, match=words):
            write_photograph(tmp_path / name, facts, iter(()))
    assert check_writable("a.png", Facts(2, 2, bits=16)) is None
    assert "8" in str(check_writable("a.jpg", Facts(2, 2, bits=16)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif"])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), InputError("the rows are wrong"), ZeroDivisionError()]
)
def test_rows_that_stop_leave_all_as_it_was(
    tmp_path: Path, suffix: str, error: BaseException
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("mine")

    def rows() -> Iterator[np.ndarray]:
        yield noise(700, 900)
        raise error

    with pytest.raises(type(error)):
        write_photograph(path, Facts(1400, 900), rows(), force=True)
    assert path.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write(path, noise(2, 2))
    assert path.read_text() == "mine"
    write_photograph(path, Facts(2, 2), iter([noise(2, 2)]), force=True)
    assert read(path)[0].height == 2


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        write(tmp_path / "a.png", noise(2, 2))
    assert not list(tmp_path.iterdir())


FULL = """
import resource, sys
import numpy as np
from ibsd.images import Facts, write_photograph
from ibsd.types import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
for name in sys.argv[1:]:
    try:
        write_photograph(name, Facts(400, 400), iter([noise]), quality=100)
    except InputError as error:
        print(error)
"""


def test_a_disk_that_fills_up_while_writing_is_one_sentence(tmp_path: Path) -> None:
    names = [str(tmp_path / f"a.{suffix}") for suffix in ("png", "jpg", "tif")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *names],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stderr == ""
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        assert line.startswith(f"{name} cannot be written") and "free some space" in line, line
    assert not list(tmp_path.iterdir())


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_png(tmp_path / "a.png", noise(5, 5, seed=seed))
        assert np.array_equal(read(tmp_path / "a.png")[1], noise(5, 5, seed=seed))


def test_names() -> None:
    assert all(map(is_photograph_name, ["a.jpg", "A.HEIC", "b.Avif", "c.tiff"]))
    assert not any(map(is_photograph_name, ["a", "a.gif", "._a.jpg", ".png"]))


def test_in_memory() -> None:
    pixels = noise(5, 4)
    photograph = InMemory(Facts(5, 4), pixels)
    assert np.array_equal(np.concatenate([photograph.read(2), photograph.read(3)]), pixels)
