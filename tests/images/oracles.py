"""Readers and writers of photographs that share no code with ours."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def noise(height: int, width: int, channels: int = 3, bits: int = 8, seed: int = 0) -> np.ndarray:
    kind = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels), dtype=kind)


def smooth(height: int, width: int) -> np.ndarray:
    """A colourful picture that survives lossy formats, with four different corners."""
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    return (255 * np.stack((rows, columns, (1 - rows) * columns), axis=2)).astype(np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def write_png(path: Path, pixels: np.ndarray, *extra: bytes) -> None:
    """PNG of 8 or 16 bits by hand (Pillow cannot write 16-bit RGB), with `extra` chunks before the
    pixels."""
    height, width, channels = pixels.shape
    header = struct.pack(
        ">IIBBBBB", width, height, 8 * pixels.itemsize, COLOUR_TYPES[channels], 0, 0, 0
    )
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    parts = [
        chunk(b"IHDR", header),
        *extra,
        chunk(b"IDAT", zlib.compress(rows, 1)),
        chunk(b"IEND", b""),
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def read_png(path: Path) -> np.ndarray:
    """Pixels of a PNG by hand, for the filters none and Sub; others fail."""
    content, at, data, header = path.read_bytes(), 8, b"", ()
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        header = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else header
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    width, height, bits, colour, *_ = header
    channels = {value: key for key, value in COLOUR_TYPES.items()}[colour]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, -1)
    assert set(lines[:, 0]) <= {0, 1}
    rows = lines[:, 1:].reshape(height, width, channels * bits // 8)
    rows = np.where(lines[:, :1, None] == 1, np.cumsum(rows, axis=1, dtype=np.uint8), rows)
    return (
        np.ascontiguousarray(rows)
        .view(">u1" if bits == 8 else ">u2")
        .reshape(height, width, channels)
        .astype(f"u{bits // 8}")
    )


@cache  # it holds the time of its making
def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def odd_profile() -> bytes:
    """A valid RGB profile that nobody has: sRGB with its red and blue primaries exchanged."""
    profile = bytearray(srgb_profile())
    number = struct.unpack_from(">I", profile, 128)[0]
    entries = {profile[at : at + 4].decode(): at for at in range(132, 132 + 12 * number, 12)}
    red, blue = entries["rXYZ"], entries["bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile)


def camera_notes(orientation: int = 1, **taken: object) -> Image.Exif:
    """EXIF as a camera writes it: maker, time, exposure, its own notes, place, size, and a
    resolution of 240 dpi."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = orientation, "Maker", "Model 3"
    exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 240.0, 2
    exif[0x8769] = {
        0x829A: 0.004,
        0x829D: 2.8,
        0x9003: "2020:01:01 00:00:00",
        0x927C: b"notes of the maker \0\1\2",
        0xA002: 40,
        0xA003: 24,
        0x9000: b"0232",
    }
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 3.5), 3: "E", 4: (11.0, 34.0, 0.25)}
    return exif


def notes_in(path: Path) -> dict[tuple[str, int], object]:
    """What Pillow finds in a file, by block and tag, without what describes the file itself."""
    with Image.open(path) as image:
        exif = image.getexif()
        blocks = {"camera": exif.get_ifd(0x8769), "place": exif.get_ifd(0x8825)}
    own = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 339, 0x8769, 0x8825, 34675}
    found: dict[tuple[str, int], object] = {
        ("main", tag): value for tag, value in exif.items() if tag not in own
    }
    for name, block in blocks.items():
        found |= {(name, tag): value for tag, value in block.items()}
    return found
