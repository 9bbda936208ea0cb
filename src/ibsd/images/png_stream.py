"""Rows of pixels as a PNG stream without compression: the one form in which libvips takes rows from
us as they come."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from ibsd.images.photograph import Facts

ROWS_BYTES = 4_000_000
"""About how much is passed on at once."""

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def png_stream(facts: Facts, strips: Iterable[np.ndarray], exif: bytes | None) -> Iterator[bytes]:
    """The file in pieces; `strips` are rows [n, width, channels] of `facts.dtype` from the top
    down. Of all else it holds EXIF alone."""
    yield b"\x89PNG\r\n\x1a\n"
    yield _chunk(
        b"IHDR",
        struct.pack(
            ">IIBBBBB", facts.width, facts.height, facts.bits, _COLOUR_TYPE[facts.channels], 0, 0, 0
        ),
    )
    if exif:
        yield _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    stored = zlib.compressobj(0)
    row_bytes = facts.width * facts.channels * facts.bits // 8
    count = max(1, ROWS_BYTES // row_bytes)
    for strip in strips:
        for top in range(0, len(strip), count):
            rows = strip[top : top + count]
            lines = np.zeros(
                (len(rows), 1 + row_bytes), np.uint8
            )  # each line begins with the number of its filter: 0, none
            lines[:, 1:] = (
                np.ascontiguousarray(rows, rows.dtype.newbyteorder(">"))
                .reshape(len(rows), -1)
                .view(np.uint8)
            )
            yield _chunk(b"IDAT", stored.compress(lines.data))
    yield _chunk(b"IDAT", stored.flush())
    yield _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return b"".join(
        (
            struct.pack(">I", len(content)),
            kind,
            content,
            struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))),
        )
    )
