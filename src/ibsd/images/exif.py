"""EXIF blocks: what of them still holds for another file of the same photograph.

A portable block is that of an upright photograph of any size, without a thumbnail.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from PIL import Image, TiffImagePlugin
from PIL.ExifTags import IFD, Base

from ibsd.system import quiet_warnings

LARGEST_EXIF_BYTES = 65_000
"""What fits into a JPEG. libvips has the same limit for its other formats."""

# Tags of the file rather than of the photograph. TIFF keeps both kinds in one directory.
_FILE_TAGS = frozenset(
    [
        *range(254, 260),  # kind of image, width, height, bits, compression
        *(262, 263, 266),  # colour model, halftoning, order of bits
        *(273, 274),  # strips; orientation, which is applied when the file is read
        *range(277, 282),  # samples, strips, extremes of values
        *(284, 288, 289, 290, 291, 297, 301),  # planes, unused bytes, grey curve, page, transfer
        *range(317, 326),  # predictor, white point, primaries, palette, halftones, tiles
        *(330, 332, 333, 334, 336),  # subfiles, inks
        *range(338, 344),  # extra samples, their type and range, clip path
        *(347, *range(512, 516), *range(517, 522)),  # JPEG tables and thumbnails
        *(*range(529, 533), 559),  # YCbCr, strips of rows
        *(700, 33723, 34377, 34675, 37724),  # XMP, IPTC, Photoshop, colour profile, layers
    ]
)
_COLOUR_SPACE = 0xA001
_WIDTH = 0xA002
_HEIGHT = 0xA003
_INTEROPERABILITY_POINTER = 0xA005


def portable_exif(image: Image.Image) -> bytes | None:
    """The portable block "Exif\\0\\0..." of an image; None if it has none or it is broken."""
    with quiet_warnings():
        try:
            return _portable(image.getexif())
        except Exception:  # Pillow raises nearly anything on a broken block
            return None


def portable_block(block: bytes) -> bytes | None:
    """As `portable_exif`, from a block as files hold it, with or without "Exif\\0\\0"."""
    with quiet_warnings():
        try:
            return _portable(_parsed(block))
        except Exception:  # as above
            return None


def portable_tiff(path: Path) -> bytes | None:
    """As `portable_exif`, from a TIFF file. Only its header is read."""
    try:
        with open(path, "rb") as file, quiet_warnings():
            return portable_exif(TiffImagePlugin.TiffImageFile(file))
    except Exception:  # as above
        return None


def with_size(block: bytes, width: int, height: int) -> bytes:
    """The block with the size of the photograph, if it says anything about how it was taken."""
    exif = _parsed(block)
    camera_tags = exif.get_ifd(IFD.Exif)
    if not camera_tags:
        return block
    camera_tags[_WIDTH] = width
    camera_tags[_HEIGHT] = height
    return exif.tobytes()


def with_srgb(block: bytes) -> bytes:
    """The block, with sRGB as its colour space if it states none. This is what a photograph without
    a colour profile is in; libvips would write "uncalibrated"."""
    exif = _parsed(block)
    camera_tags = exif.get_ifd(IFD.Exif)
    if _COLOUR_SPACE in camera_tags:
        return block
    camera_tags[_COLOUR_SPACE] = 1
    exif[IFD.Exif] = dict(camera_tags)
    return exif.tobytes()


def dpi_of(block: bytes | None) -> tuple[float, float] | None:
    """Resolution that a portable block states, in dots per inch across and down."""
    if block is None:
        return None
    try:
        exif = _parsed(block)
        unit = {2: 1.0, 3: 2.54}.get(exif.get(Base.ResolutionUnit, 2))
        across = float(exif[Base.XResolution])
        down = float(exif[Base.YResolution])
    except Exception:  # missing, or as above
        return None
    return (across * unit, down * unit) if unit and across > 0 and down > 0 else None


def taken_at(path: Path) -> datetime | None:
    """When a photograph was taken, by its camera's clock, to the camera's hundredths; None if the
    file does not say. Only its header is read."""
    with quiet_warnings():
        try:
            with Image.open(path) as image:
                exif = image.getexif()
            camera_tags = exif.get_ifd(IFD.Exif)
            text = camera_tags.get(Base.DateTimeOriginal) or exif[Base.DateTime]
            time = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
            part = str(camera_tags.get(Base.SubsecTimeOriginal, "")).strip("\0 ")
            return time + timedelta(seconds=float(f"0.{part}" if part.isdecimal() else 0))
        except Exception:  # as above
            return None


def _portable(exif: Image.Exif) -> bytes | None:
    portable = Image.Exif()
    portable.endian = exif.endian  # a maker's private notes may rely on it
    for tag, value in exif.items():
        if tag not in _FILE_TAGS and tag not in (IFD.Exif, IFD.GPSInfo):
            portable[tag] = value
    for directory in (IFD.Exif, IFD.GPSInfo):
        values = {
            tag: value
            for tag, value in exif.get_ifd(directory).items()
            if tag not in (_WIDTH, _HEIGHT, _INTEROPERABILITY_POINTER)
        }
        if values:
            portable[directory] = values
    return portable.tobytes() if len(portable) else None


def _parsed(block: bytes) -> Image.Exif:
    """Pillow parses on access, so a broken block may raise only later."""
    exif = Image.Exif()
    with quiet_warnings():
        exif.load(block)
    return exif
