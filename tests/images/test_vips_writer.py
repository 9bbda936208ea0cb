"""Laws of writing with libvips, against readers that share no code with ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.ExifTags import IFD

from ibsd.images import PhotographHeader, check_writable, write_photograph
from ibsd.types import InputError
from images.oracles import noise, read_png, smooth
from images.round_trip import header_of, read, write

pytest.importorskip("pyvips")


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
        header, back = read(path)
        assert replace(header, exif=None, dpi=None) == header_of(pixels)
        assert np.array_equal(back, pixels)


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
    header, back = read(tmp_path / "a.avif")
    assert header.bits == 16
    assert len(np.unique(back[8, :, 1])) > 200
    assert np.abs(back.astype(int) - ramp).max() < 65535 * 0.012
    write(tmp_path / "b.avif", back)
    assert len(np.unique(read(tmp_path / "b.avif")[1][8, :, 1])) > 200


def test_a_profile_for_grey_stays_with_grey(tmp_path: Path) -> None:
    import pyvips

    grey = pyvips.Image.new_from_array(smooth(9, 9)[..., 0], interpretation="b-w").icc_import(
        pcs="xyz", input_profile="sgrey"
    )  # pyright: ignore
    grey = grey.icc_export(output_profile="sgrey")
    profile = grey.get("icc-profile-data")
    Image.fromarray(smooth(9, 9)[..., 0]).save(tmp_path / "a.png", icc_profile=profile)
    header, pixels = read(tmp_path / "a.png")
    assert header.grey and header.icc == profile
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
        assert (check_writable(f"b.{suffix}", header) is None) == kept


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
        write_photograph(path, PhotographHeader(1400, 900), rows(), force=True)
    assert path.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


FULL = """
import resource, sys
import numpy as np
from ibsd.images import PhotographHeader, write_photograph
from ibsd.types import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
for name in sys.argv[1:]:
    try:
        write_photograph(name, PhotographHeader(400, 400), iter([noise]), quality=100)
    except InputError as error:
        print(error)
"""


@pytest.mark.slow
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


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
@pytest.mark.parametrize("taken", [True, False])
def test_exif_without_a_colour_space_does_not_become_uncalibrated(
    tmp_path: Path, suffix: str, taken: bool
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    if taken:
        exif.get_ifd(IFD.Exif)[0x829A] = 0.5
    header = PhotographHeader(8, 8, exif=exif.tobytes())
    write_photograph(tmp_path / f"a{suffix}", header, [np.zeros((8, 8, 3), np.uint8)])
    with Image.open(tmp_path / f"a{suffix}") as image:
        written = image.getexif()
        camera_tags = written.get_ifd(IFD.Exif)
    assert written[0x010F] == "Maker"
    assert camera_tags[0xA001] == 1
    assert not taken or camera_tags[0x829A] == 0.5


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_a_file_without_resolution_comes_out_without_one(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, noise(20, 30, 3, 8))
    assert read(path)[0].dpi is None
    with Image.open(path) as image:
        assert "dpi" not in image.info or image.tag_v2[296] == 1, "TIFF must say something"  # pyright: ignore
        image.load()
    stated = tmp_path / f"stated{suffix}"
    write(stated, noise(20, 30, 3, 8), dpi=(300.0, 150.0))
    dpi = read(stated)[0].dpi
    assert dpi is not None and np.allclose(dpi, (300, 150), atol=0.1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_exif_without_resolution_keeps_files_without_one(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    exif.get_ifd(IFD.Exif)[0x9003] = "2020:01:01 00:00:00"
    path = tmp_path / f"a{suffix}"
    write(path, noise(20, 30, 3, 8), exif=exif.tobytes())
    with Image.open(path) as image:
        assert image.getexif()[271] == "Maker"
        assert "dpi" not in image.info or image.tag_v2[296] == 1  # pyright: ignore
