"""EXIF into a TIFF file that libvips wrote without it: a new directory at the end of the file."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

_EXIF = 0x8769
_GPS = 0x8825
_INTEROPERABILITY = 0xA005
_RESOLUTION_UNIT = 296
_NO_UNIT = 1
_LONG = 4
_LONG8 = 16
_RATIONALS = (5, 10)
"""Types of two 4-byte numbers."""
_TYPES_OF_SIZE: dict[int, tuple[int, ...]] = {
    1: (1, 2, 6, 7),
    2: (3, 8),
    4: (4, 9, 11, 13),
    8: (5, 10, 12, 16, 17, 18),
}
_TYPE_BYTES = {kind: size for size, kinds in _TYPES_OF_SIZE.items() for kind in kinds}


class _Layout(NamedTuple):
    """How a TIFF file writes its directories."""

    order: str
    """"<" or ">"."""
    count_code: str
    """Struct code of the number of entries in a directory."""
    word: str
    """Struct code of counts and offsets: 4 bytes in TIFF, 8 in BigTIFF."""
    first_pointer: int
    """Offset of the file's pointer to its first directory."""

    def pack_word(self, value: int) -> bytes:
        return struct.pack(self.order + self.word, value)

    def unpack_word(self, content: bytes) -> int:
        return struct.unpack(self.order + self.word, content)[0]

    @property
    def word_bytes(self) -> int:
        return struct.calcsize(self.order + self.word)


class _Entry(NamedTuple):
    tag: int
    kind: int
    num_values: int
    value: bytes
    """In the byte order of its source."""


def add_exif_to_tiff(path: Path, block: bytes) -> None:
    """Add the tags of a portable EXIF block ("Exif\\0\\0...") that the TIFF does not have yet, with
    its camera and GPS directories.

    Numbers are converted to the file's byte order. Bytes of unknown meaning, such as a maker's
    notes, stay as they are.
    """
    exif = _ExifBlock(block.removeprefix(b"Exif\0\0"))
    with open(path, "r+b") as file:
        layout = _read_layout(file)
        file.seek(layout.first_pointer)
        first = layout.unpack_word(file.read(layout.word_bytes))
        entries = {entry.tag: entry for entry in _read_directory(file, layout, first)}
        for entry in exif.entries(exif.first):
            if entry.tag in entries:
                continue
            if entry.tag in (_EXIF, _GPS):
                inner = [
                    exif.reordered(tag, layout.order)
                    for tag in exif.entries(exif.offset_in(entry))
                    if tag.tag != _INTEROPERABILITY
                ]
                offset = _append_directory(file, layout, inner)
                kind = _LONG if layout.word == "I" else _LONG8
                entries[entry.tag] = _Entry(entry.tag, kind, 1, layout.pack_word(offset))
            else:
                entries[entry.tag] = exif.reordered(entry, layout.order)
        offset = _append_directory(file, layout, list(entries.values()))
        file.seek(layout.first_pointer)
        file.write(layout.pack_word(offset))


def unstate_tiff_resolution(path: Path) -> None:
    """Set the unit of a TIFF's resolution, which the format demands, to none."""
    with open(path, "r+b") as file:
        layout = _read_layout(file)
        file.seek(layout.first_pointer)
        first = layout.unpack_word(file.read(layout.word_bytes))
        head = struct.calcsize(layout.order + layout.count_code)
        line = 4 + 2 * layout.word_bytes  # tag, type, number of values, value
        tags = [entry.tag for entry in _read_directory(file, layout, first)]
        file.seek(first + head + line * tags.index(_RESOLUTION_UNIT) + 4 + layout.word_bytes)
        file.write(struct.pack(layout.order + "H", _NO_UNIT))


class _ExifBlock:
    """The TIFF structure inside an EXIF block."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.order = "<" if content[:2] == b"II" else ">"
        (self.first,) = self._unpack("I", 4)

    def entries(self, offset: int) -> list[_Entry]:
        """Entries of the directory at `offset`, with their values."""
        (count_of_entries,) = self._unpack("H", offset)
        entries: list[_Entry] = []
        for index in range(count_of_entries):
            at = offset + 2 + 12 * index
            tag, kind, count = self._unpack("HHI", at)
            size = _TYPE_BYTES[kind] * count
            start = at + 8 if size <= 4 else self._unpack("I", at + 8)[0]
            entries.append(_Entry(tag, kind, count, self.content[start : start + size]))
        return entries

    def offset_in(self, entry: _Entry) -> int:
        """Where the directory is that an entry points to."""
        return struct.unpack(self.order + "I", entry.value)[0]

    def reordered(self, entry: _Entry, order: str) -> _Entry:
        """The entry in another byte order."""
        width = 4 if entry.kind in _RATIONALS else _TYPE_BYTES[entry.kind]
        if order == self.order or width == 1:
            return entry
        numbers = (entry.value[at : at + width] for at in range(0, len(entry.value), width))
        return entry._replace(value=b"".join(number[::-1] for number in numbers))

    def _unpack(self, code: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack_from(self.order + code, self.content, offset)


def _read_layout(file: IO[bytes]) -> _Layout:
    start = file.read(4)
    order = "<" if start[:2] == b"II" else ">"
    if 43 in start[2:]:
        return _Layout(order, count_code="Q", word="Q", first_pointer=8)
    return _Layout(order, count_code="H", word="I", first_pointer=4)


def _read_directory(file: IO[bytes], layout: _Layout, offset: int) -> list[_Entry]:
    """Entries of a directory with their values, in the file's byte order."""
    file.seek(offset)
    (num_entries,) = struct.unpack(
        layout.order + layout.count_code,
        file.read(struct.calcsize(layout.order + layout.count_code)),
    )
    head_code = layout.order + "HH" + layout.word
    head_bytes = struct.calcsize(head_code)
    lines = [file.read(head_bytes + layout.word_bytes) for _ in range(num_entries)]
    entries: list[_Entry] = []
    for line in lines:
        tag, kind, count = struct.unpack(head_code, line[:head_bytes])
        size = _TYPE_BYTES[kind] * count
        if size <= layout.word_bytes:
            value = line[head_bytes : head_bytes + size]
        else:
            file.seek(layout.unpack_word(line[head_bytes:]))
            value = file.read(size)
        entries.append(_Entry(tag, kind, count, value))
    return entries


def _append_directory(file: IO[bytes], layout: _Layout, entries: list[_Entry]) -> int:
    """Write values and directory at the end of the file, tags in rising order as TIFF wants them.
    Returns the offset of the directory."""
    lines: list[bytes] = []
    for entry in sorted(entries):
        value = entry.value
        if len(value) > layout.word_bytes:
            value = layout.pack_word(_append(file, value))
        head = struct.pack(
            layout.order + "HH" + layout.word, entry.tag, entry.kind, entry.num_values
        )
        lines.append(head + value.ljust(layout.word_bytes, b"\0"))
    num_entries = struct.pack(layout.order + layout.count_code, len(lines))
    no_next_directory = bytes(layout.word_bytes)
    return _append(file, num_entries + b"".join(lines) + no_next_directory)


def _append(file: IO[bytes], content: bytes) -> int:
    """Write at the end, aligned to 16 bytes. Returns the offset."""
    end = file.seek(0, 2)
    end += file.write(bytes(-end % 16))
    file.write(content)
    return end
