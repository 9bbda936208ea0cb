"""Rows of pixels as an uncompressed PNG stream, the form in which libvips accepts rows as they
come; and the resolution that libvips adds to a PNG without one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ibsd.images.photograph import PhotographHeader

PIECE_BYTES = 4_000_000
"""About the size of one piece of the stream."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_FILTER_BYTES = 1
"""Each line begins with the number of its filter: 0 is none."""


def png_stream(
    header: PhotographHeader, strips: Iterable[np.ndarray], exif: bytes | None
) -> Iterator[bytes]:
    """The PNG file in pieces. `strips` are rows [n, width, channels] of `header.dtype` from the top
    down. EXIF is the only metadata in it."""
    yield _SIGNATURE
    colour_type = _COLOUR_TYPE[header.channels]
    size = (header.width, header.height)
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, header.bits, colour_type, 0, 0, 0))
    if exif:
        yield _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    uncompressed = zlib.compressobj(0)
    row_bytes = header.width * header.channels * header.bits // 8
    rows_a_piece = max(1, PIECE_BYTES // row_bytes)
    for strip in strips:
        for top in range(0, len(strip), rows_a_piece):
            rows = strip[top : top + rows_a_piece]
            big_endian = np.ascontiguousarray(rows, rows.dtype.newbyteorder(">"))
            lines = np.zeros((len(rows), _FILTER_BYTES + row_bytes), np.uint8)
            lines[:, _FILTER_BYTES:] = big_endian.reshape(len(rows), -1).view(np.uint8)
            yield _chunk(b"IDAT", uncompressed.compress(lines.data))
    yield _chunk(b"IDAT", uncompressed.flush())
    yield _chunk(b"IEND", b"")


def unstate_png_resolution(path: Path) -> None:
    """Turn the resolution of a PNG, which libvips always writes, into the statement that pixels are
    square."""
    square = _chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0))
    with open(path, "r+b") as file:
        at = len(_SIGNATURE)
        while True:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            if kind == b"pHYs":
                file.seek(at)
                file.write(square)
            if kind in (b"pHYs", b"IDAT"):
                return
            at += 12 + size


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)))
