"""XMP and IPTC arrive, without what is no longer true of the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ibsd.images import PhotographHeader, open_photograph, write_photograph
from ibsd.images.xmp import LARGEST_XMP_BYTES, portable_xmp

PACKET = (
    b'<rdf:Description tiff:Orientation="6" tiff:ImageWidth="30" exif:PixelXDimension=\'30\' '
    b'dc:title="Sea"><tiff:Orientation>8</tiff:Orientation>'
    b"<tiff:ImageLength>20</tiff:ImageLength></rdf:Description>"
)
PORTABLE = (
    b'<rdf:Description tiff:Orientation="1" dc:title="Sea">'
    b"<tiff:Orientation>1</tiff:Orientation></rdf:Description>"
)
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x0c\x1c\x02\x78\x00\x07caption"


def test_orientation_and_size_go_and_the_rest_stays() -> None:
    assert portable_xmp(PACKET) == PORTABLE
    assert portable_xmp(PORTABLE) == PORTABLE


def test_packets_of_other_images_and_too_large_ones_go() -> None:
    assert portable_xmp(b'<a hdrgm:Version="1.0"/>') is None
    assert portable_xmp(b"x" * (LARGEST_XMP_BYTES + 1)) is None


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
def test_every_format_keeps_the_packet(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pyvips")
    header = PhotographHeader(8, 8, xmp=PORTABLE, iptc=IPTC)
    write_photograph(tmp_path / f"a.{suffix}", header, [np.zeros((8, 8, 3), np.uint8)])
    kept = open_photograph(tmp_path / f"a.{suffix}").header
    assert kept.xmp == PORTABLE
    assert kept.iptc == (IPTC if suffix == "jpg" else None)
