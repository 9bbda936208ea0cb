"""Opens and writes photographs with the library that is there.

libvips (the extra `upscale`) handles all formats except BMP. Without it, or with an old one, Pillow
handles 8 bits a channel in memory.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ibsd.images.formats import (
    AVIF,
    BMP,
    HEIF,
    check_writable,
    detect_format,
    format_to_write,
    loses_profile,
)
from ibsd.images.heic import HeicPhotograph
from ibsd.images.photograph import InMemory, Photograph, PhotographHeader
from ibsd.images.pillow_reader import TooDeepError, TooLargeError, read_with_pillow
from ibsd.images.pillow_writer import write_with_pillow
from ibsd.system import write_whole
from ibsd.types import InputError

_INSTALL = "pip install 'ibsd[upscale]'"


@cache
def has_vips() -> bool:
    """Whether pyvips and libvips 8.18 or newer are installed: 8.17 takes a TIFF cut short for a
    whole one."""
    try:
        import pyvips
    except (ImportError, OSError):
        return False
    if not pyvips.at_least_libvips(8, 18):
        return False
    # Its errors reach the user as exceptions; the remaining messages need not be printed.
    logging.getLogger("pyvips").addHandler(logging.NullHandler())
    return True


def open_photograph(path: str | os.PathLike[str], *, first_frame: bool = False) -> Photograph:
    """The photograph in a file. With libvips only its header is read yet. `first_frame` takes the
    first picture of an animation or of several pages.

    InputError, here or from `read`, if the file is missing, unreadable, empty, no image, damaged,
    cut short, animated, a decompression bomb, or has a kind of pixels that photographs do not have.
    """
    path = Path(path)
    # os.path, because Path raises where a folder above may not be looked into.
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError(
            f"{path} is no file but a pipe or a device, which may never end: take it out."
        )
    if not has_vips():
        return _open_without_vips(path, first_frame)
    image_format = detect_format(path, may_move=first_frame)
    if image_format is BMP:
        return read_with_pillow(path, first_frame)
    from ibsd.images.vips_reader import VipsPhotograph

    photograph = VipsPhotograph(path, image_format, first_frame)
    if photograph.is_heic and importlib.util.find_spec("pi_heif"):
        return HeicPhotograph(path, photograph.header)
    return photograph


def _open_without_vips(path: Path, first_frame: bool) -> InMemory:
    if path.suffix.lower() in AVIF.suffixes + HEIF.suffixes:
        raise InputError(
            f"{path} can only be read through libvips 8.18 or newer: {_INSTALL}, or convert it."
        )
    try:
        return read_with_pillow(path, first_frame)
    except (TooDeepError, TooLargeError) as error:
        problem = str(error).rpartition(":")[0]
        raise InputError(f"{problem}: {_INSTALL}, and it can be done.") from None


def write_photograph(
    path: str | os.PathLike[str],
    header: PhotographHeader,
    strips: Iterable[np.ndarray],
    *,
    rows: PhotographHeader | None = None,
    quality: int = 95,
    force: bool = False,
) -> None:
    """Write a photograph in the format that the suffix names, atomically: `path` holds all of it
    or is as before.

    Args:
        path: the file to write; its folder must exist.
        header: of the photograph that is written.
        strips: rows [n, width, channels] of `header.dtype` from the top down. They are taken when
            the encoder needs them.
        rows: header of the photograph in `strips`, if that is larger; libvips makes it smaller.
        quality: 1 to 100 for JPEG (colours not subsampled), WebP and AVIF; the other formats are
            lossless.
        force: replace an existing file.

    InputError as `check_writable`, if the file exists and `force` is False, and if the folder
    cannot be written to. If `strips` raises, no file is left behind.
    """
    path = Path(path)
    check_writable(path, header)
    image_format = format_to_write(path)
    if not force and os.path.lexists(path):
        raise InputError(f"{path} exists already: choose another name, or force to replace it.")
    is_smaller = rows is not None and (rows.height, rows.width) != (header.height, header.width)
    if image_format is BMP or not has_vips():
        if is_smaller:
            advice = "choose another format" if has_vips() else _INSTALL
            raise InputError(
                f"{path} would be of another size than the network gives, "
                f"which only libvips can write, and not as BMP: {advice}."
            )
        _write_without_vips(path, header, strips, quality)
        return
    from ibsd.images.vips_writer import write_with_vips

    if loses_profile(image_format, header):
        header = replace(header, icc=None)
    write_whole(
        path,
        lambda file: write_with_vips(
            Path(file.name), path, image_format, header, strips, quality, rows
        ),
    )


def _write_without_vips(
    path: Path, header: PhotographHeader, strips: Iterable[np.ndarray], quality: int
) -> None:
    image_format = format_to_write(path)
    if header.bits > 8 and image_format is not BMP:
        raise InputError(
            f"{path} has more than 8 bits a channel, "
            f"which only libvips 8.18 or newer can write: {_INSTALL}."
        )
    if image_format is AVIF:
        raise InputError(
            f"{path} can only be written through libvips 8.18 or newer: {_INSTALL}, "
            "or choose another format."
        )
    pixels = to_eight_bits(np.concatenate(list(strips)))
    write_with_pillow(path, InMemory(replace(header, bits=8), pixels), quality)


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """uint16 -> uint8, rounded. uint8 stays as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
