"""Laws of reading with libvips, against writers that share no code with ours."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, features

from ibsd.images import open_photograph
from ibsd.types import InputError
from images.oracles import camera_notes, noise, smooth, srgb_profile, write_png
from images.round_trip import read, write

pytest.importorskip("pyvips")


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
        header, back = read(tmp_path / name)
        assert (header.bits, header.channels) == (bits, channels)
        assert np.array_equal(back, pixels), name


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
    header, pixels = read(tmp_path / "lt.png")
    assert header.grey and header.alpha and pixels[..., 1].max() == 0


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
    header, pixels = read(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as image:
        expected = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    assert np.abs(pixels.astype(int) - np.array(expected)).max() <= 3
    assert header.channels == 3
    assert (
        header.icc is None
        or ImageCms.ImageCmsProfile(BytesIO(header.icc)).profile.xcolor_space == "RGB "
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
    header, pixels = read(tmp_path / f"a.{suffix}")
    assert (header.width, header.height) == upright.size
    assert np.abs(pixels.astype(int) - np.array(upright)).max() <= 12
    write(tmp_path / f"b.{suffix}", pixels, exif=header.exif)
    with Image.open(tmp_path / f"b.{suffix}") as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == upright.size


def test_profiles_that_do_not_fit_are_dropped_and_grey_ones_kept(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 7).save(tmp_path / "a.png", icc_profile=srgb_profile())
    assert read(tmp_path / "a.png")[0].icc is None
    Image.new("RGB", (8, 8)).save(tmp_path / "b.jpg", icc_profile=b"no profile at all")
    assert read(tmp_path / "b.jpg")[0].icc is None


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_png(tmp_path / "a.png", noise(5, 5, seed=seed))
        assert np.array_equal(read(tmp_path / "a.png")[1], noise(5, 5, seed=seed))


def test_a_sparse_file_counts_as_what_it_holds(tmp_path: Path) -> None:
    """A TIFF that claims 60,000 x 60,000 pixels in 10 GB, of which the disk holds the header."""
    path = tmp_path / "sparse.tif"
    entries = [(256, 60_000), (257, 60_000), (258, 8), (259, 1), (262, 1), (277, 1), (278, 60_000)]
    entries += [(273, 8 + 2 + 12 * 9 + 4), (279, 3_600_000_000)]
    content = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, value in sorted(entries):
        content += struct.pack("<HHII", tag, 4, 1, value)
    with open(path, "wb") as file:
        file.write(content + bytes(4))
        file.truncate(10 * 2**30)
    with pytest.raises(InputError, match="decompression bomb"):
        open_photograph(path)


def test_a_system_that_counts_no_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows."""
    write_png(tmp_path / "a.png", noise(5, 5))
    monkeypatch.setattr(Path, "stat", lambda _: SimpleNamespace(st_size=100))
    assert open_photograph(tmp_path / "a.png").header.width == 5


def test_a_resolution_turns_with_the_photograph_and_is_more_than_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    for orientation, expected in ((3, (72, 144)), (6, (144, 72))):
        exif[0x0112] = orientation
        Image.fromarray(noise(5, 7)).save(tmp_path / "a.jpg", exif=exif, dpi=(72, 144))
        assert open_photograph(tmp_path / "a.jpg").header.dpi == pytest.approx(expected)
    Image.fromarray(noise(5, 7)).save(tmp_path / "b.jpg", dpi=(72, 144))
    content = (tmp_path / "b.jpg").read_bytes()
    stated = struct.pack(">HH", 72, 144)
    (tmp_path / "b.jpg").write_bytes(content.replace(stated, bytes(4), 1))
    assert open_photograph(tmp_path / "b.jpg").header.dpi is None
