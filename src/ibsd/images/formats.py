"""The image formats: their names and suffixes, what each can hold, and how a file's first bytes
show its format.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from ibsd.images.errors import several_pictures, unreadable
from ibsd.images.photograph import PhotographHeader
from ibsd.types import InputError

FormatName = Literal["PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF", "HEIF"]


@dataclass(frozen=True)
class ImageFormat:
    """What a format can hold."""

    name: FormatName
    suffixes: tuple[str, ...]
    """In lower case, with the dot."""
    max_bits: int = 16
    """A channel."""
    max_side_px: int = 2**31 - 1
    holds_alpha: bool = True
    holds_grey_profile: bool = True
    """Whether a grey photograph keeps its colour profile."""
    needs_vips: bool = False
    """Pillow neither reads nor writes it here."""
    writable: bool = True


PNG = ImageFormat("PNG", (".png",))
JPEG = ImageFormat("JPEG", (".jpg", ".jpeg"), max_bits=8, max_side_px=65_500, holds_alpha=False)
WEBP = ImageFormat("WEBP", (".webp",), max_bits=8, max_side_px=16_383, holds_grey_profile=False)
BMP = ImageFormat("BMP", (".bmp",), max_bits=8, holds_alpha=False)
TIFF = ImageFormat("TIFF", (".tif", ".tiff"))
AVIF = ImageFormat(
    "AVIF",
    (".avif",),
    max_bits=12,
    max_side_px=16_384,
    holds_grey_profile=False,
    needs_vips=True,
)
HEIF = ImageFormat("HEIF", (".heic", ".heif"), needs_vips=True, writable=False)

_FORMATS = (PNG, JPEG, WEBP, BMP, TIFF, AVIF, HEIF)
_BMP_MAX_PIXELS = 2**30
_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1")
_ANIMATION_BRANDS = (b"avis", b"msf1", b"hevc", b"hevx")


def _suffixes(*formats: ImageFormat) -> tuple[str, ...]:
    return tuple(suffix for image_format in formats for suffix in image_format.suffixes)


PILLOW_FORMATS: tuple[str, ...] = tuple(
    image_format.name for image_format in _FORMATS if not image_format.needs_vips
)
"""Names of the formats that Pillow reads and writes here."""
IMAGE_SUFFIXES: tuple[str, ...] = _suffixes(*(f for f in _FORMATS if not f.needs_vips))
"""Suffixes of images for training and evaluation, in lower case. All can be written."""
WRITABLE_SUFFIXES: tuple[str, ...] = _suffixes(*(f for f in _FORMATS if f.writable))
"""Suffixes of photographs that can be written."""
PHOTOGRAPH_SUFFIXES: tuple[str, ...] = _suffixes(*_FORMATS)
"""Suffixes of photographs that can be read."""
_BY_SUFFIX = {suffix: image_format for image_format in _FORMATS for suffix in image_format.suffixes}


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether the name has one of `IMAGE_SUFFIXES`, in upper or lower case, and is not hidden
    (`.x.png`, or `._x.png` as macOS writes it)."""
    return _has_suffix(path, IMAGE_SUFFIXES)


def is_photograph_name(path: str | os.PathLike[str]) -> bool:
    """As `is_image_name`, with `PHOTOGRAPH_SUFFIXES`."""
    return _has_suffix(path, PHOTOGRAPH_SUFFIXES)


def _has_suffix(path: str | os.PathLike[str], suffixes: tuple[str, ...]) -> bool:
    path = Path(path)
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def format_to_write(path: str | os.PathLike[str]) -> ImageFormat:
    """The format that the suffix names. InputError if it names none that can be written."""
    image_format = _BY_SUFFIX.get(Path(path).suffix.lower())
    if image_format is None:
        raise InputError(
            f"{path} does not end in the name of an image format: "
            f"choose one of {', '.join(WRITABLE_SUFFIXES)}."
        )
    if not image_format.writable:
        raise InputError(
            f"{path} cannot be written, because HEIC has no free encoder: choose avif, jpg or png."
        )
    return image_format


def check_writable(path: str | os.PathLike[str], header: PhotographHeader) -> str | None:
    """What is lost of a photograph in the format of `path`, in words; None if nothing is.

    InputError if the format cannot hold the photograph at all.
    """
    image_format = format_to_write(path)
    name = image_format.name
    if header.alpha and not image_format.holds_alpha:
        raise InputError(
            f"{path} cannot be written, because {name} cannot keep transparency: "
            "choose png, webp, tiff or avif."
        )
    if max(header.height, header.width) > image_format.max_side_px:
        raise InputError(
            f"{path} cannot be written, because {name} holds at most {image_format.max_side_px} "
            f"pixels a side, not {header.width}x{header.height}: choose png or tiff."
        )
    if image_format is BMP and header.height * header.width > _BMP_MAX_PIXELS:
        raise InputError(
            f"{path} cannot be written, because BMP holds at most 4 GB: choose png or tiff."
        )
    losses: list[str] = []
    max_bits = image_format.max_bits
    if header.bits > max_bits:
        losses.append(
            f"{header.bits} bits a channel became {max_bits}, because {name} holds no more"
        )
    if loses_profile(image_format, header):
        losses.append(f"the profile for grey was left out, because {name} holds colours only")
    return "; ".join(losses) or None


def loses_profile(image_format: ImageFormat, header: PhotographHeader) -> bool:
    """Whether the photograph has a grey profile that the format cannot keep."""
    return header.grey and header.icc is not None and not image_format.holds_grey_profile


def detect_format(path: str | os.PathLike[str], may_move: bool = False) -> ImageFormat:
    """The format of a file by its first bytes, whatever its name; HEIF stands for AVIF too.

    InputError if it cannot be read, is no image or is an animation, unless it `may_move`.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(32)
            image_format = _format_from_bytes(start)
            animated = (image_format is HEIF and start[8:12] in _ANIMATION_BRANDS) or (
                image_format is PNG and _is_animated_png(file)
            )
    except OSError as error:
        raise unreadable(path, error) from error
    if not start:
        raise InputError(f"{path} is empty: replace it or take it out.")
    if image_format is None:
        raise InputError(
            f"{path} is not an image that can be read (JPEG, PNG, WebP, TIFF, AVIF, HEIC, BMP), "
            "or is damaged: replace it or take it out."
        )
    if animated and not may_move:
        raise several_pictures(path)
    return image_format


def _format_from_bytes(start: bytes) -> ImageFormat | None:
    if start.startswith(b"\xff\xd8\xff"):
        return JPEG
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return WEBP
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return TIFF
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS + _ANIMATION_BRANDS:
        return HEIF
    return BMP if start[:2] == b"BM" and len(start) >= 26 else None


def _is_animated_png(file: IO[bytes]) -> bool:
    """Whether an acTL chunk comes before the pixels. libvips would read the first frame and say
    nothing."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"acTL", b"IDAT", b"IEND"):
            return kind == b"acTL"
        file.seek(length + 4, os.SEEK_CUR)
    return False
