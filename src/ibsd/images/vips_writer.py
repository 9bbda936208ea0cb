"""Rows of pixels into a file through libvips, encoded as they come.

The encoder runs in a thread of its own. It reads a PNG stream of the rows that are ready.
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
from PIL import Image

from ibsd.images.exif import LARGEST_EXIF_BYTES, with_srgb
from ibsd.images.formats import AVIF, JPEG, PNG, TIFF, WEBP, FormatName, ImageFormat
from ibsd.images.photograph import PhotographHeader
from ibsd.images.png_stream import png_stream, unstate_png_resolution
from ibsd.images.tiff_exif import add_exif_to_tiff, unstate_tiff_resolution
from ibsd.images.vips_reader import vips_reason
from ibsd.system import NO_SPACE, is_out_of_memory
from ibsd.types import InputError

UNKNOWN_DPI = 72.0
"""What EXIF demands where the resolution is not known."""

_SAVERS: dict[FormatName, str] = {
    "JPEG": "jpegsave",
    "PNG": "pngsave",
    "WEBP": "webpsave",
    "TIFF": "tiffsave",
    "AVIF": "heifsave",
}
_DPI_IN_EXIF = (JPEG, WEBP, AVIF)
"""Formats for whose DPI libvips has no other place."""
_BIGTIFF_BYTES = 4_000_000_000


def write_with_vips(
    partial: Path,
    path: Path,
    image_format: ImageFormat,
    header: PhotographHeader,
    strips: Iterable[np.ndarray],
    quality: int,
    rows: PhotographHeader | None = None,
) -> None:
    """Write `partial`, an existing empty file, as JPEG, PNG, WebP, TIFF or AVIF. `rows` is the
    header of `strips`; if it is larger than `header`, they are made smaller.

    InputError, which names `path`, if it cannot be encoded. Whatever `strips` raises is raised
    after the encoder has ended.
    """
    exif = header.exif
    streamed_exif = exif
    if exif is None and header.dpi and image_format in _DPI_IN_EXIF:
        streamed_exif = None if header.icc else with_srgb(Image.Exif().tobytes())
    elif exif and (image_format is TIFF or len(exif) > LARGEST_EXIF_BYTES):
        streamed_exif = None
    elif exif and header.icc is None:
        streamed_exif = with_srgb(exif)
    encoder = _Encoder(partial, path, image_format, header, quality)
    try:
        for piece in png_stream(rows or header, strips, streamed_exif):
            encoder.feed(piece)
        encoder.finish()
    except BaseException:
        encoder.abandon()
        raise
    if image_format is TIFF and exif:
        add_exif_to_tiff(partial, exif)
    if header.dpi is None:
        if image_format is TIFF:
            unstate_tiff_resolution(partial)
        elif image_format is PNG:
            unstate_png_resolution(partial)


class _Encoder:
    """A thread that encodes the PNG stream that `feed` passes on."""

    def __init__(
        self,
        partial: Path,
        path: Path,
        image_format: ImageFormat,
        header: PhotographHeader,
        quality: int,
    ) -> None:
        self.partial = partial
        self.path = path
        self.image_format = image_format
        self.header = header
        self.quality = quality
        self.pieces: queue.Queue[bytes] = queue.Queue(2)
        self.rest = memoryview(b"")
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def feed(self, piece: bytes) -> None:
        """Pass a piece of the stream on; b"" is its end."""
        while not self.ended.is_set():
            try:
                return self.pieces.put(piece, timeout=0.1)
            except queue.Full:
                continue
        # Without an error the encoder had all rows and did not wait for the end of the stream.
        return self._check()

    def finish(self) -> None:
        """Wait until the file is written."""
        self.feed(b"")
        self.thread.join()
        self._check()

    def abandon(self) -> None:
        """End the thread. If it has all rows and is still encoding, it ends by itself or with the
        process: the wait for it is short."""
        while not self.ended.is_set():
            with suppress(queue.Empty):
                self.pieces.get_nowait()
            with suppress(queue.Full):
                self.pieces.put_nowait(b"")
                break
        self.thread.join(timeout=2)

    def _check(self) -> None:
        error = self.error
        if error is None:
            return
        detail = str(getattr(error, "detail", ""))
        if match := re.search("write error\n[a-z]+ error: (.+)", detail):
            raise _system_error(match[1].strip())  # `write_whole` makes the sentence
        reason = vips_reason(error)
        if is_out_of_memory(error):
            raise MemoryError(f"{self.path}: {reason}") from error
        raise InputError(
            f"{self.path} cannot be encoded as {self.image_format.name} ({reason}): "
            "choose another format."
        ) from error

    def _run(self) -> None:
        try:
            self._encode()
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()

    def _read(self, size: int) -> bytes:
        """At most `size` bytes of the stream, b"" at its end."""
        if not self.rest:
            self.rest = memoryview(self.pieces.get())
            if not self.rest:
                self.pieces.put(b"")  # a second call at the end gets the same answer
        part = self.rest[:size]
        self.rest = self.rest[size:]
        return part.tobytes()

    def _encode(self) -> None:
        import pyvips

        header = self.header
        source = pyvips.SourceCustom()
        source.on_read(self._read)
        image: Any = pyvips.Image.pngload_source(
            source, access="sequential", fail_on="error", unlimited=True
        )
        if (image.height, image.width) != (header.height, header.width):
            image = _resized(image, header)
        across, down = header.dpi or (UNKNOWN_DPI, UNKNOWN_DPI)
        image = image.copy(xres=across / 25.4, yres=down / 25.4)
        image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
        if header.icc:
            image.set_type(pyvips.GValue.blob_type, "icc-profile-data", header.icc)
        if header.xmp:
            image.set_type(pyvips.GValue.blob_type, "xmp-data", header.xmp)
        if header.iptc and self.image_format is JPEG:
            image.set_type(pyvips.GValue.blob_type, "iptc-data", header.iptc)
        # libvips invents EXIF where there is none.
        keeps_exif = header.exif is not None or (
            header.dpi is not None and self.image_format in _DPI_IN_EXIF
        )
        save = getattr(image, _SAVERS[self.image_format.name])
        options = _options(self.image_format, header, self.quality)
        save(
            os.fsencode(self.partial),
            keep=f"{'exif:' if keeps_exif else ''}icc:xmp:iptc",
            **options,
        )


def _resized(image: Any, header: PhotographHeader) -> Any:
    """At the header's size, row by row. Colours are weighted by their opacity."""
    kind = image.format
    factors = (header.width / image.width, header.height / image.height)
    if header.alpha:
        image = image.premultiply()
    image = image.resize(factors[0], vscale=factors[1], kernel="lanczos3")
    if header.alpha:
        image = image.unpremultiply().rint().cast(kind)
    assert (image.height, image.width) == (header.height, header.width)
    return image


def _system_error(reason: str) -> OSError:
    """The error of the system behind a failed write, known by its message alone."""
    numbers = (number for number in NO_SPACE if os.strerror(number) == reason)
    return OSError(next(numbers, errno.EIO), reason)


def _options(image_format: ImageFormat, header: PhotographHeader, quality: int) -> dict[str, Any]:
    """libvips's options for writing. Nothing in them may need the whole picture in memory, as
    JPEG's optimised codes would."""
    match image_format.name:
        case "JPEG":
            return {"Q": quality, "subsample_mode": "off"}
        case "PNG":
            return {"compression": 3, "filter": "sub"}
        case "WEBP":
            return {"Q": quality, "smart_subsample": True}
        case "AVIF":
            return {
                "Q": quality,
                "compression": "av1",
                "subsample_mode": "off",
                "bitdepth": 8 if header.bits == 8 else 12,
                "effort": 3,
            }
        case "TIFF":
            num_bytes = header.height * header.width * header.channels * header.bits // 8
            return {
                "compression": "deflate",
                "level": 3,
                "predictor": "horizontal",
                "bigtiff": num_bytes > _BIGTIFF_BYTES,
                "resunit": "inch",
            }
        case _:
            raise AssertionError(image_format.name)
