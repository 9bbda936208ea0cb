"""All results of a page as one zip archive, made while it is sent."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PIECE_BYTES = 1_000_000


class _Sink(io.RawIOBase):
    """Takes what the archive writes, from which nothing is ever read back."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.content += content
        return len(content)

    def take(self) -> bytes:
        content = bytes(self.content)
        self.content.clear()
        return content


def zip_stream(files: Sequence[tuple[str, Path]]) -> Iterator[bytes]:
    """The archive of (name, file) in pieces, uncompressed, because photographs are compressed
    already. A second file of a name gets a number. Files that are gone are left out."""
    sink = _Sink()
    taken: set[str] = set()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, path in files:
            try:
                file = open(path, "rb")  # noqa: SIM115  (closed below)
            except FileNotFoundError:
                continue
            with file, archive.open(_unique(name, taken), "w", force_zip64=True) as entry:
                while piece := file.read(PIECE_BYTES):
                    entry.write(piece)
                    yield sink.take()
    yield sink.take()


def _unique(name: str, taken: set[str]) -> str:
    number = 1
    unique = name
    while unique in taken:
        number += 1
        unique = f"{Path(name).stem}-{number}{Path(name).suffix}"
    taken.add(unique)
    return unique
