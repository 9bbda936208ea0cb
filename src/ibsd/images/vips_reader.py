"""Photographs through libvips: rows are decoded when they are asked for, so that no size needs more
memory than another.

A rotated photograph cannot be decoded from its top down; libvips unpacks such a file first, into
memory or, above 100 MB, into a temporary file.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from ibsd.images.exif import dpi_of, portable_block, portable_tiff
from ibsd.images.photograph import Facts
from ibsd.system import is_out_of_memory
from ibsd.types import InputError

BOMB_PIXELS = 250_000_000
BOMB_PIXELS_PER_BYTE = 200
"""More pixels than both, all in all and a byte of the file, is no photograph: cameras need a byte
for one to ten pixels."""

_SRGB_INTENT = "perceptual"
_LOADERS = {
    "JPEG": "jpegload_source",
    "PNG": "pngload_source",
    "WEBP": "webpload_source",
    "TIFF": "tiffload_source",
}
_ANIMATIONS = (b"avis", b"msf1", b"hevc", b"hevx")


class VipsPhotograph:
    """A `Photograph` out of a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.next_row = path, 0
        form = checked_format(path)
        with _clear(path):
            image = self._opened(form, "sequential")
        pages = _field(image, "n-pages", 1)
        if pages > 1:
            raise InputError(
                f"{path} holds {pages} pictures (an animation or several pages): save the one you want as a file of its own."
            )
        pixels, size = image.width * image.height, path.stat().st_size
        if pixels > BOMB_PIXELS and pixels > BOMB_PIXELS_PER_BYTE * size:
            raise InputError(
                f"{path} claims {image.width}x{image.height} pixels in {size:,} bytes, as only a decompression bomb does: take it out."
            )
        with _clear(path):
            turned = _field(image, "orientation", 1)
            if turned not in (1, 2):
                image = self._opened(form, "random")
            exif = _exif(path, form, image)
            dpi = dpi_of(exif)
            if form in ("JPEG", "PNG", "TIFF") and "resolution-unit" in image.get_fields():
                dpi = (image.xres * 25.4, image.yres * 25.4)
            image = _upright_rgb_or_grey(image.autorot(), path)
            grey = image.bands <= 2
            icc = _field(image, "icc-profile-data", None)
            self.facts = Facts(
                image.height,
                image.width,
                grey,
                image.bands in (2, 4),
                8 if image.format == "uchar" else 16,
                icc if icc and icc[16:20] == (b"GRAY" if grey else b"RGB ") else None,
                exif,
                dpi,
            )
            self.image, self.region = image, _region(image)

    def read(self, count: int) -> np.ndarray:
        facts = self.facts
        assert self.next_row + count <= facts.height, f"{self.next_row} + {count} > {facts.height}"
        with _clear(self.path):
            content = self.region.fetch(0, self.next_row, facts.width, count)
        self.next_row += count
        return np.frombuffer(content, facts.dtype).reshape(count, facts.width, facts.channels)

    def _opened(self, form: str, access: str) -> Any:
        import pyvips

        # A source, not a name: of files known by name libvips remembers the pixels, though they may
        # have changed since.
        source = pyvips.Source.new_from_file(os.fspath(self.path))
        loader = getattr(pyvips.Image, _LOADERS.get(form, "heifload_source"))
        return loader(source, access=access, fail_on="error")


def checked_format(path: Path) -> str:
    """JPEG, PNG, WEBP, TIFF, HEIF or BMP, by what the file holds, not by its name. InputError for
    anything else, animations included."""
    try:
        with open(path, "rb") as file:
            start = file.read(32)
            form = _format_of(start)
            animated = (form == "HEIF" and start[8:12] in _ANIMATIONS) or (
                form == "PNG" and _is_animated_png(file)
            )
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the name.") from error
    except IsADirectoryError as error:
        raise InputError(
            f"{path} is a folder where an image file is expected: name the file."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): check the name and whether reading is allowed."
        ) from error
    if form is None:
        what = (
            "is empty"
            if not start
            else "is not an image that can be read (JPEG, PNG, WebP, TIFF, AVIF, HEIC, BMP), or is damaged"
        )
        raise InputError(f"{path} {what}: replace it or take it out.")
    if animated:
        raise InputError(f"{path} is an animation: save the picture you want as a file of its own.")
    return form


def _format_of(start: bytes) -> str | None:
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if start[4:8] == b"ftyp" and start[8:12] in (
        b"avif",
        b"avis",
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"mif1",
        *_ANIMATIONS,
    ):
        return "HEIF"
    return "BMP" if start[:2] == b"BM" and len(start) >= 26 else None


def _is_animated_png(file: IO[bytes]) -> bool:
    """Whether an acTL chunk comes before the pixels; libvips would show the first picture of the
    animation as if it were all."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"acTL", b"IDAT", b"IEND"):
            return kind == b"acTL"
        file.seek(length + 4, os.SEEK_CUR)
    return False


def _upright_rgb_or_grey(image: Any, path: Path) -> Any:
    """1 to 4 channels of 8 or 16 bits, of any of the colour spaces that photographs come in."""
    space = image.interpretation
    if space == "cmyk":
        deep = 16 if image.format == "ushort" else 8
        image = image.icc_transform(
            "srgb", embedded=True, input_profile="cmyk", intent=_SRGB_INTENT, depth=deep
        )
    elif space in ("lab", "labs", "labq"):
        image = image.colourspace("rgb16" if space == "labs" else "srgb")
    if image.format not in ("uchar", "ushort"):
        raise InputError(
            f"{path} has {image.format} numbers instead of 8 or 16 bits a channel: save it with 16 bits."
        )
    if image.interpretation not in ("b-w", "grey16", "srgb", "rgb16", "rgb") or image.bands != (
        1 if image.interpretation in ("b-w", "grey16") else 3
    ) + bool(image.hasalpha()):
        raise InputError(
            f"{path} has {image.bands} channels of kind {image.interpretation}: save it as grey or RGB, with or without alpha."
        )
    return image


def _exif(path: Path, form: str, image: Any) -> bytes | None:
    if form != "TIFF":
        block = _field(image, "exif-data", None)
        return portable_block(block) if block else None
    return portable_tiff(path)  # libvips leaves these tags


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if name in image.get_fields() else default


def _region(image: Any) -> Any:
    import pyvips

    return pyvips.Region.new(image)


class _clear:  # noqa: N801  (reads as a phrase)
    """Turns libvips's errors into one sentence that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        import pyvips

        if isinstance(error, pyvips.Error):
            reason = vips_reason(error)
            if is_out_of_memory(error):
                raise MemoryError(f"{self.path}: {reason}") from error
            if (
                "Unsupported codec" in reason
                or "No decoding plugin" in reason
                or "Support for this compression" in reason
            ):
                raise InputError(
                    f"{self.path} is HEIC, and this libvips has no decoder for it: convert it to JPEG or AVIF, or install a libvips with one."
                ) from None
            raise InputError(
                f"{self.path} is damaged or cut short ({reason}): replace it or take it out."
            ) from error


def vips_reason(error: Exception) -> str:
    """The last line of libvips's report that is not about the calls it went through, nor a bare
    code; often it has none."""
    lines = [
        line.strip()
        for line in str(getattr(error, "detail", "") or error).splitlines()
        if re.search("[a-z]", line)
    ]
    telling = [line for line in lines if "unable to call" not in line and "bad seek" not in line]
    return telling[-1].rstrip(".") if telling else "its header makes no sense"
