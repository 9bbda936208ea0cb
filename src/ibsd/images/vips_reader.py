"""Photographs through libvips: rows are decoded when they are asked for, so memory does not grow
with the photograph.

A rotated photograph cannot be decoded from the top down. libvips unpacks such a file first, into
memory or, above 100 MB, into a temporary file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.images.errors import damaged, several_pictures
from ibsd.images.exif import dpi_of, portable_block, portable_tiff
from ibsd.images.formats import JPEG, TIFF, FormatName, ImageFormat
from ibsd.images.photograph import PhotographHeader
from ibsd.images.xmp import portable_xmp
from ibsd.system import is_out_of_memory
from ibsd.types import InputError

BOMB_PIXELS = 250_000_000
BOMB_PIXELS_PER_BYTE = 200
"""A file with more pixels than both is a decompression bomb: cameras need a byte for one to ten
pixels."""

_RENDERING_INTENT = "perceptual"
_LOADERS: dict[FormatName, str] = {
    "JPEG": "jpegload_source",
    "PNG": "pngload_source",
    "WEBP": "webpload_source",
    "TIFF": "tiffload_source",
    "HEIF": "heifload_source",
}
_STATES_RESOLUTION = ("JPEG", "PNG", "TIFF")
_UNSTATED_PER_M = ({2834}, {1000})
"""What libvips makes of a PNG without a resolution, and of one that states a ratio alone."""
_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap rows and columns."""
_NO_DECODER = ("Unsupported codec", "No decoding plugin", "Support for this compression")


class VipsPhotograph:
    """A `Photograph` in a file of the given format, as `detect_format` returns it.

    `first_frame` takes the first of several pictures.

    InputError if the file is damaged, holds several pictures, is a decompression bomb, or has a
    kind of pixels that photographs do not have.
    """

    def __init__(self, path: Path, image_format: ImageFormat, first_frame: bool) -> None:
        import pyvips

        self.path = path
        self.next_row = 0
        with _vips_errors(path):
            image = _load(path, image_format, "sequential")
        num_pages: int = _field(image, "n-pages", 1)
        if num_pages > 1 and not first_frame:
            raise several_pictures(path, num_pages)
        _refuse_bomb(path, image.width, image.height)
        with _vips_errors(path):
            orientation: int = _field(image, "orientation", 1)
            if orientation not in (1, 2):
                image = _load(path, image_format, "random")
            exif = _exif(path, image_format, image)
            self.is_heic = _field(image, "heif-compression", "") == "hevc"
            dpi = dpi_of(exif)
            states = "resolution-unit" in image.get_fields()
            if image_format.name == "PNG":  # libvips sets no unit, and 72 DPI where none is stated
                per_m = {round(1000 * image.xres), round(1000 * image.yres)}
                states = per_m not in _UNSTATED_PER_M
            states = states and image_format.name in _STATES_RESOLUTION
            if states and image.xres > 0 and image.yres > 0:
                dpi = (image.xres * 25.4, image.yres * 25.4)
            if dpi and orientation in _SIDEWAYS:
                dpi = (dpi[1], dpi[0])
            image = _rgb_or_grey(image.autorot(), path)
            grey = image.bands <= 2
            self.header = PhotographHeader(
                image.height,
                image.width,
                grey=grey,
                alpha=image.bands in (2, 4),
                bits=8 if image.format == "uchar" else 16,
                icc=_profile(image, grey),
                exif=exif,
                xmp=portable_xmp(_field(image, "xmp-data", b"")) or None,
                iptc=_field(image, "iptc-data", None) if image_format is JPEG else None,
                dpi=dpi,
            )
            self.region: Any = pyvips.Region.new(image)

    def read(self, count: int) -> np.ndarray:
        """As `Photograph.read`."""
        header = self.header
        end = self.next_row + count
        assert end <= header.height, f"{end} > {header.height}"
        with _vips_errors(self.path):
            content: bytes = self.region.fetch(0, self.next_row, header.width, count)
        self.next_row = end
        return np.frombuffer(content, header.dtype).reshape(count, header.width, header.channels)


def vips_reason(error: Exception) -> str:
    """The last line of libvips's report that names a cause. Lines about the calls on the way and
    bare codes do not; often no line does."""
    report = str(getattr(error, "detail", "") or error)
    lines = [line.strip() for line in report.splitlines() if re.search("[a-z]", line)]
    causes = [line for line in lines if "unable to call" not in line and "bad seek" not in line]
    return causes[-1].rstrip(".") if causes else "its header makes no sense"


def _load(path: Path, image_format: ImageFormat, access: str) -> Any:
    import pyvips

    # A source, not a name: libvips caches the pixels of files known by name, though the file may
    # have changed since.
    name: Any = os.fsencode(path)  # bytes, as a name need not be UTF-8; the stub asks for text
    source = pyvips.Source.new_from_file(name)
    loader: Any = getattr(pyvips.Image, _LOADERS[image_format.name])
    return loader(source, access=access, fail_on="error")


def _refuse_bomb(path: Path, width: int, height: int) -> None:
    num_pixels = width * height
    status = path.stat()
    num_bytes = status.st_size
    if hasattr(status, "st_blocks"):  # not on Windows
        # A sparse file has few blocks on the disk, whatever its size.
        num_bytes = min(num_bytes, 512 * status.st_blocks)
    if num_pixels > BOMB_PIXELS and num_pixels > BOMB_PIXELS_PER_BYTE * num_bytes:
        raise InputError(
            f"{path} claims {width}x{height} pixels in {num_bytes:,} bytes, "
            "as only a decompression bomb does: take it out."
        )


def _rgb_or_grey(image: Any, path: Path) -> Any:
    """1 to 4 channels of 8 or 16 bits, from the colour spaces that photographs have."""
    space = image.interpretation
    if space == "cmyk":
        image = image.icc_transform(
            "srgb",
            embedded=True,
            input_profile="cmyk",
            intent=_RENDERING_INTENT,
            depth=16 if image.format == "ushort" else 8,
        )
    elif space in ("lab", "labs", "labq"):
        image = image.colourspace("rgb16" if space == "labs" else "srgb")
    if image.format not in ("uchar", "ushort"):
        raise InputError(
            f"{path} has {image.format} numbers instead of 8 or 16 bits a channel: "
            "save it with 16 bits."
        )
    grey = image.interpretation in ("b-w", "grey16")
    coloured = image.interpretation in ("srgb", "rgb16", "rgb")
    num_colours = 1 if grey else 3
    if not (grey or coloured) or image.bands != num_colours + bool(image.hasalpha()):
        raise InputError(
            f"{path} has {image.bands} channels of kind {image.interpretation}: "
            "save it as grey or RGB, with or without alpha."
        )
    return image


def _profile(image: Any, grey: bool) -> bytes | None:
    """The colour profile, if it is one for the pixels that are read."""
    icc: bytes | None = _field(image, "icc-profile-data", None)
    return icc if icc and icc[16:20] == (b"GRAY" if grey else b"RGB ") else None


def _exif(path: Path, image_format: ImageFormat, image: Any) -> bytes | None:
    if image_format is TIFF:
        return portable_tiff(path)  # libvips does not read these tags
    block: bytes | None = _field(image, "exif-data", None)
    return portable_block(block) if block else None


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if name in image.get_fields() else default


@contextmanager
def _vips_errors(path: Path) -> Generator[None]:
    """Turns libvips's errors into one sentence that names the file."""
    import pyvips

    try:
        yield
    except pyvips.Error as error:
        reason = vips_reason(error)
        if is_out_of_memory(error):
            raise MemoryError(f"{path}: {reason}") from error
        if any(words in reason for words in _NO_DECODER):
            raise InputError(
                f"{path} is HEIC, and this libvips has no decoder for it: "
                "pip install 'ibsd[heic]' brings one."
            ) from None
        raise damaged(path, reason) from error
