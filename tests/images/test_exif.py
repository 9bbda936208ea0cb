"""Laws of EXIF: what still holds travels to any format, and nothing else does."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.images import write_photograph
from images.oracles import camera_notes, notes_in, odd_profile, smooth
from images.round_trip import in_strips, read, write

pytest.importorskip("pyvips")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif", "avif"])
def test_profile_notes_and_dpi_travel(tmp_path: Path, source: str, suffix: str) -> None:
    path = tmp_path / f"a.{source}"
    Image.fromarray(smooth(24, 40)).save(
        path, exif=camera_notes(6).tobytes(), icc_profile=odd_profile(), dpi=(240, 240)
    )
    header, pixels = read(path)
    assert header.icc == odd_profile()
    assert header.dpi is not None and np.allclose(header.dpi, 240, atol=0.01)
    large = pixels.repeat(2, 0).repeat(2, 1)
    write_photograph(tmp_path / f"b.{suffix}", header.upscaled(2), in_strips(large))
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
    header, pixels = read(tmp_path / "a.jpg")
    for suffix in ("jpg", "png", "tif", "webp"):
        write(tmp_path / f"b.{suffix}", pixels, exif=header.exif)
        assert content[20:] not in (tmp_path / f"b.{suffix}").read_bytes()
        assert notes_in(tmp_path / f"b.{suffix}")[("main", 0x010F)] == "Maker"


def test_without_dpi_none_is_made_up_that_anybody_would_notice(tmp_path: Path) -> None:
    Image.fromarray(smooth(8, 8)).save(tmp_path / "a.png")
    header, pixels = read(tmp_path / "a.png")
    assert header.dpi is None
    write(tmp_path / "b.jpg", pixels)
    with Image.open(tmp_path / "b.jpg") as image:
        assert np.allclose(np.asarray(image.info.get("dpi", (72, 72)), float), 72, atol=0.01)
