"""Laws of EXIF added to a TIFF file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ibsd.images.tiff_exif import add_exif_to_tiff
from images.oracles import camera_notes, noise, notes_in


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
