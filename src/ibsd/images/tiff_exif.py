"""EXIF into a TIFF file that libvips has written without: its entries go into a new directory at
the end of the file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, NamedTuple

_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_BYTES_OF_TYPE = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}


class _Layout(NamedTuple):
    """How a TIFF file writes its directories."""

    order: str
    """"<" or ">"."""
    count: str
    """Struct code of the number of entries in a directory."""
    word: str
    """Struct code of counts and offsets: 4 bytes in TIFF, 8 in BigTIFF."""
    first: int
    """Where the file says where its first directory is."""


class _Entry(NamedTuple):
    tag: int
    kind: int
    count: int
    value: bytes
    """In the file's byte order."""


def add_exif_to_tiff(path: Path, block: bytes) -> None:
    """Adds the tags of a portable EXIF block ("Exif\\0\\0..."), with camera and GPS directories,
    that the TIFF does not have yet.

    Numbers are turned into the file's byte order; bytes of no known meaning, a maker's notes, stay
    as they are.
    """
    source = _Reader(block.removeprefix(b"Exif\0\0"))
    with open(path, "r+b") as file:
        layout = _layout(file)
        first = _read_word(file, layout, layout.first)
        entries = {entry.tag: entry for entry in _directory(file, layout, first)}
        for entry in source.entries(source.first):
            if entry.tag in entries:
                continue
            if entry.tag in (_EXIF, _GPS):
                inner = [
                    each
                    for each in source.entries(source.offset_in(entry))
                    if each.tag != _INTEROPERABILITY
                ]
                place = _append_directory(
                    file, layout, [source.turned(each, layout.order) for each in inner]
                )
                kind = 4 if layout.word == "I" else 16  # LONG, LONG8
                entries[entry.tag] = _Entry(
                    entry.tag, kind, 1, struct.pack(layout.order + layout.word, place)
                )
            else:
                entries[entry.tag] = source.turned(entry, layout.order)
        place = _append_directory(file, layout, list(entries.values()))
        file.seek(layout.first)
        file.write(struct.pack(layout.order + layout.word, place))


class _Reader:
    """Entries of the TIFF structure inside an EXIF block."""

    def __init__(self, content: bytes) -> None:
        self.content, self.order = content, "<" if content[:2] == b"II" else ">"
        (self.first,) = struct.unpack_from(self.order + "I", content, 4)

    def entries(self, offset: int) -> list[_Entry]:
        (number,) = struct.unpack_from(self.order + "H", self.content, offset)
        found = []
        for k in range(number):
            at = offset + 2 + 12 * k
            tag, kind, count = struct.unpack_from(self.order + "HHI", self.content, at)
            size = _BYTES_OF_TYPE[kind] * count
            start = (
                at + 8
                if size <= 4
                else struct.unpack_from(self.order + "I", self.content, at + 8)[0]
            )
            found.append(_Entry(tag, kind, count, self.content[start : start + size]))
        return found

    def offset_in(self, entry: _Entry) -> int:
        return struct.unpack(self.order + "I", entry.value)[0]

    def turned(self, entry: _Entry, order: str) -> _Entry:
        """The entry in another byte order."""
        width = {5: 4, 10: 4}.get(entry.kind, _BYTES_OF_TYPE[entry.kind])
        if order == self.order or width == 1:
            return entry
        value = b"".join(
            entry.value[at : at + width][::-1] for at in range(0, len(entry.value), width)
        )
        return entry._replace(value=value)


def _layout(file: IO[bytes]) -> _Layout:
    start = file.read(4)
    order = "<" if start[:2] == b"II" else ">"
    large = 43 in start[2:]
    return _Layout(order, "Q" if large else "H", "Q" if large else "I", 8 if large else 4)


def _read_word(file: IO[bytes], layout: _Layout, at: int) -> int:
    size = struct.calcsize(layout.word)
    file.seek(at)
    return struct.unpack(layout.order + layout.word, file.read(size))[0]


def _directory(file: IO[bytes], layout: _Layout, at: int) -> list[_Entry]:
    """Entries as they are, their values fetched."""
    file.seek(at)
    (number,) = struct.unpack(layout.order + layout.count, file.read(struct.calcsize(layout.count)))
    word, head = struct.calcsize(layout.word), struct.calcsize("=HH" + layout.word)
    lines = [file.read(head + word) for _ in range(number)]
    found = []
    for line in lines:
        tag, kind, count = struct.unpack(layout.order + "HH" + layout.word, line[:head])
        size = _BYTES_OF_TYPE[kind] * count
        if size <= word:
            value = line[head : head + size]
        else:
            file.seek(struct.unpack(layout.order + layout.word, line[head:])[0])
            value = file.read(size)
        found.append(_Entry(tag, kind, count, value))
    return found


def _append_directory(file: IO[bytes], layout: _Layout, entries: list[_Entry]) -> int:
    """Writes values and directory at the end of the file, tags rising as the format wants it; says
    where the directory is."""
    word = struct.calcsize(layout.word)
    lines = []
    for entry in sorted(entries):
        value = entry.value
        if len(value) > word:
            value = struct.pack(layout.order + layout.word, _append(file, value))
        lines.append(
            struct.pack(layout.order + "HH" + layout.word, entry.tag, entry.kind, entry.count)
            + value.ljust(word, b"\0")
        )
    content = struct.pack(layout.order + layout.count, len(lines)) + b"".join(lines) + bytes(word)
    return _append(file, content)


def _append(file: IO[bytes], content: bytes) -> int:
    end = file.seek(0, 2)
    end += file.write(bytes(-end % 16))
    file.write(content)
    return end
