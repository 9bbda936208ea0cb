"""Rows of pixels into a file through libvips, encoded while they come: the encoder runs in a thread
of its own and asks for bytes of a PNG stream, which hold the rows that are done.
"""

from __future__ import annotations

import errno
import os
import queue
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.images.photograph import Facts
from ibsd.images.png_stream import png_stream
from ibsd.images.tiff_exif import add_exif_to_tiff
from ibsd.images.vips_reader import vips_reason
from ibsd.system import NO_SPACE, is_out_of_memory
from ibsd.types import InputError

LARGEST_EXIF = 65_000
"""Bytes that fit into a JPEG; libvips has the same limit for the others that it writes EXIF
into."""

UNKNOWN_DPI = 72.0
"""What viewers assume where a file says nothing; some formats cannot say nothing."""


def write_with_vips(
    partial: Path, path: Path, form: str, facts: Facts, strips: Iterable[np.ndarray], quality: int
) -> None:
    """Writes `partial`, an existing empty file, as JPEG, PNG, WEBP, TIFF or AVIF. InputError, which
    names `path`, when that fails.

    Whatever `strips` raises comes out of here after the encoder has ended.
    """
    exif = facts.exif
    encoder = _Encoder(partial, path, form, facts, quality)
    try:
        for piece in png_stream(
            facts, strips, exif if exif and form != "TIFF" and len(exif) <= LARGEST_EXIF else None
        ):
            encoder.feed(piece)
        encoder.finish()
    except BaseException:
        encoder.abandon()
        raise
    if form == "TIFF" and exif:
        add_exif_to_tiff(partial, exif)


class _Encoder:
    def __init__(self, partial: Path, path: Path, form: str, facts: Facts, quality: int) -> None:
        self.partial, self.path, self.form, self.facts, self.quality = (
            partial,
            path,
            form,
            facts,
            quality,
        )
        self.pieces: queue.Queue[bytes] = queue.Queue(2)
        self.rest = memoryview(b"")
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def feed(self, piece: bytes) -> None:
        while not self.ended.is_set():
            try:
                return self.pieces.put(piece, timeout=0.1)
            except queue.Full:
                continue
        return (
            self._check()
        )  # without an error it had all rows and did not wait for the end of the stream

    def finish(self) -> None:
        self.feed(b"")
        self.thread.join()
        self._check()

    def abandon(self) -> None:
        """Ends the thread. One that has all rows and is still encoding is not waited for long: it
        ends by itself or with the process."""
        while not self.ended.is_set():
            with suppress(queue.Empty):
                self.pieces.get_nowait()
            with suppress(queue.Full):
                self.pieces.put_nowait(b"")
                break
        self.thread.join(timeout=2)

    def _check(self) -> None:
        if self.error:
            if found := re.search(
                "write error\n[a-z]+ error: (.+)", str(getattr(self.error, "detail", ""))
            ):
                number = next(
                    (number for number in NO_SPACE if os.strerror(number) == found[1].strip()),
                    errno.EIO,
                )
                raise OSError(number, found[1].strip())  # `write_whole` makes the sentence
            reason = vips_reason(self.error)
            if is_out_of_memory(self.error):
                raise MemoryError(f"{self.path}: {reason}") from self.error
            raise InputError(
                f"{self.path} cannot be encoded as {self.form} ({reason}): choose another format."
            ) from self.error

    def _run(self) -> None:
        try:
            self._encode()
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()

    def _read(self, size: int) -> bytes:
        if not self.rest:
            self.rest = memoryview(self.pieces.get())
            if not self.rest:
                self.pieces.put(b"")  # whoever asks again gets the same answer
        part, self.rest = self.rest[:size], self.rest[size:]
        return part.tobytes()

    def _encode(self) -> None:
        import pyvips

        source = pyvips.SourceCustom()
        source.on_read(self._read)
        image: Any = pyvips.Image.pngload_source(
            source, access="sequential", fail_on="error", unlimited=True
        )
        across, down = self.facts.dpi or (UNKNOWN_DPI, UNKNOWN_DPI)
        image = image.copy(xres=across / 25.4, yres=down / 25.4)
        image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
        if self.facts.icc:
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", self.facts.icc)
        save, options = _saver(self.form, self.facts, self.quality)
        # libvips would make notes up; only where a format has no other place for the DPI they are
        # wanted.
        invented = self.facts.exif is None and (
            self.facts.dpi is None or self.form not in ("WEBP", "AVIF")
        )
        getattr(image, save)(
            os.fspath(self.partial), keep="icc" if invented else "exif:icc", **options
        )


def _saver(form: str, facts: Facts, quality: int) -> tuple[str, dict[str, Any]]:
    if form == "JPEG":
        return "jpegsave", {
            "Q": quality,
            "subsample_mode": "off",
        }  # optimised codes would need all of the picture in memory
    if form == "PNG":
        return "pngsave", {"compression": 3, "filter": "sub"}
    if form == "WEBP":
        return "webpsave", {"Q": quality, "smart_subsample": True}
    if form == "AVIF":
        depth = 8 if facts.bits == 8 else 12
        return "heifsave", {
            "Q": quality,
            "compression": "av1",
            "subsample_mode": "off",
            "bitdepth": depth,
            "effort": 3,
        }
    assert form == "TIFF", form
    large = facts.height * facts.width * facts.channels * facts.bits // 8 > 4_000_000_000
    return "tiffsave", {
        "compression": "deflate",
        "level": 3,
        "predictor": "horizontal",
        "bigtiff": large,
        "resunit": "inch",
    }
