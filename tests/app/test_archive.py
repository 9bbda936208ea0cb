"""All results as one archive, whole and in pieces."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

from ibsd.app.archive import PIECE_BYTES, zip_stream


def test_the_archive_holds_every_file_and_no_piece_is_large(tmp_path: Path) -> None:
    contents = {"a.png": b"a" * (3 * PIECE_BYTES), "b.png": b"b"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = [("sea.png", tmp_path / "a.png"), ("gone.png", tmp_path / "gone.png")]
    pieces = list(zip_stream([*files, ("sea.png", tmp_path / "b.png")]))
    assert max(map(len, pieces)) < PIECE_BYTES + 10_000
    with zipfile.ZipFile(BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        read = {name: archive.read(name) for name in archive.namelist()}
    assert read == {"sea.png": contents["a.png"], "sea-2.png": contents["b.png"]}
