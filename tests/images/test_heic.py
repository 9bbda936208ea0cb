"""HEIC through pi-heif: its pixels stand upright, beside what libvips reads of the header."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from ibsd.images import open_photograph
from ibsd.types import InputError

SIDEWAYS = base64.b64decode(
    """
    AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAcdtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAA
    AAAAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAAB6wABAAAAAAAAAKUAAgAAAAACkAABAAAAAAAAADYAAAA4aWluZgAA
    AAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABBmlwcn
    AAAADlaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroC
    QGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybm
    NseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAGAAAAAEAAAAQAAAAAf///9gAAAAC////0AAA
    AAIAAAAQcGl4aQAAAAADCAgIAAAACWlyb3QDAAAAGWlwbWEAAAAAAAAAAQABBoECAwWEhgAAABppcmVmAAAAAAAAAA
    5jZHNjAAIAAQABAAAA421kYXQAAAChKAGvBPIeeeLQcWhy+bqBNMPknH/wT1PbwPus8+fc91b1shcVxuIAOsRGf5wK
    CXuZRExLmxxN8+AWuasxvONEoOs90Jp//RIaOXYJkVYIakjJ/PxbSDnxQfRghW5qGdq/V5Oi3jkps7l/XNxG4v+p0n
    xMHIwpvAv0sycCHeNKq/PvP+tA0JMEilWrPfxPPRC2E7n9sq6yzEnkyYOm01WD3sAAAAAGRXhpZgAATU0AKgAAAAgA
    AgEPAAIAAAAGAAAAJgESAAMAAAABAAYAAAAAAABNYWtlcgA=
    """
)
"""`ramp` in 8 bits with orientation 6 and a maker, written by pillow-heif 1.8.1."""
DEEP = base64.b64decode(
    """
    AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAA
    AAAAAAAAAAACJpbG9jAAAAAERAAAEAAQAAAAABoAABAAAAAAAAAIUAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAAB
    AABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAAAHVodmNDAQQIAAAAnbgAAAAAHvAA/P36+gAADw
    NgAAEAF0ABDAH//wQIAAADAJ24AAADAAAeugJAYQABACpCAQEECAAAAwCduAAAAwAAHqAggQTZbqrprm4CGgwIAAAD
    AMgAAAMACEBiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAA
    AAGAAAAAEAAAAQAAAAAf///9gAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCgoKAAAAGGlwbWEAAAAAAAAAAQABBYEC
    AwWEAAAAjW1kYXQAAACBKAGvBPIeeYDwcWhzFcKbrONRSzv9OxZ7eB91nn87nKretkLiu+RADWiIz/OBQS9zKImJc2
    OK3IsAuCFnhOj0paI8WtqjBKK9uoimHBrz6kjJ/Xh556IIP0Bg9rKaHOpaycDOfXCTPFN5elvpz9/M9fwle3/yRRpN
    lXRmJwFc2sjw
    """
)
"""`ramp` in 10 bits."""


@pytest.fixture(autouse=True)
def needs_libraries() -> None:
    pytest.importorskip("pyvips")
    pytest.importorskip("pi_heif")


def ramp() -> np.ndarray:
    y, x = np.mgrid[0:16, 0:24]
    return np.stack([8 * x, 12 * y, np.full_like(x, 128)], axis=-1)


def written(folder: Path, content: bytes) -> Path:
    (folder / "a.heic").write_bytes(content)
    return folder / "a.heic"


def test_a_photograph_of_a_phone_stands_upright(tmp_path: Path) -> None:
    photograph = open_photograph(written(tmp_path, SIDEWAYS))
    header = photograph.header
    assert (header.height, header.width, header.channels, header.bits) == (24, 16, 3, 8)
    assert header.exif is not None and b"Maker" in header.exif
    rows = np.concatenate([photograph.read(10), photograph.read(14)])
    assert np.abs(rows.astype(int) - np.rot90(ramp(), -1)).max() < 9


def test_ten_bits_arrive_as_sixteen(tmp_path: Path) -> None:
    photograph = open_photograph(written(tmp_path, DEEP))
    assert photograph.header.bits == 16
    assert np.abs(photograph.read(16) / 257 - ramp()).max() < 9


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="damaged or cut short"):
        open_photograph(written(tmp_path, SIDEWAYS[:-60])).read(24)
    photograph = open_photograph(written(tmp_path, SIDEWAYS))
    written(tmp_path, DEEP)
    with pytest.raises(InputError, match="do not agree"):
        photograph.read(24)


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'ibsd\[heic\]'"):
        open_photograph(written(tmp_path, SIDEWAYS)).read(24)
