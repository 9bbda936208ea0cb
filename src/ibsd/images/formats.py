"""Photographs by name: which library reads and writes which file.

libvips (the extra `upscale`) does all but BMP. Where it is missing or old, Pillow does what it can
do right: 8 bits a channel and in memory.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ibsd.images.photograph import Facts, InMemory, Photograph
from ibsd.images.rgb import IMAGE_SUFFIXES, Photo, read_photo, write_photo
from ibsd.system import write_whole
from ibsd.types import InputError

PHOTOGRAPH_SUFFIXES: tuple[str, ...] = (*IMAGE_SUFFIXES, ".avif", ".heic", ".heif")
"""Names that count as photographs, in lower case."""

_FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".avif": "AVIF",
}  # fmt: skip
WRITABLE_SUFFIXES: tuple[str, ...] = tuple(_FORMATS)
"""Those that can be written."""

_LARGEST_SIDE_PX = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 16_384}
_MOST_BITS = {"JPEG": 8, "WEBP": 8, "BMP": 8, "AVIF": 12}


def is_photograph_name(path: str | os.PathLike[str]) -> bool:
    """Whether the name ends as a photograph does (`PHOTOGRAPH_SUFFIXES`, any case) and is not
    hidden."""
    path = Path(path)
    return path.suffix.lower() in PHOTOGRAPH_SUFFIXES and not path.name.startswith(".")


@cache
def has_vips() -> bool:
    """Whether pyvips and the library behind it are there, of version 8.18 or newer: 8.17 takes a
    TIFF cut short for whole."""
    try:
        import pyvips
    except (ImportError, OSError):
        return False
    if not pyvips.at_least_libvips(8, 18):
        return False
    logging.getLogger("pyvips").addHandler(
        logging.NullHandler()
    )  # what matters comes as an error; the rest is for who asks for logs
    return True


def open_photograph(path: str | os.PathLike[str]) -> Photograph:
    """The photograph in a file: its header is read, its pixels are not.

    InputError, here or from `read`, when the file is missing, unreadable, empty, no image, damaged,
    cut short, animated, of a kind of pixels that is no photograph's, or a decompression bomb.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            f"{path} is no file but a pipe or a device, which may never end: take it out."
        )
    if has_vips():
        from ibsd.images.vips_reader import VipsPhotograph, checked_format

        if checked_format(path) != "BMP":
            return VipsPhotograph(path)
    return _with_pillow(path)


def check_writable(path: str | os.PathLike[str], facts: Facts) -> str | None:
    """What `path`'s format cannot keep of such a photograph, in words, or None. InputError when it
    cannot hold it at all."""
    path = Path(path)
    form = format_of(path)
    if facts.alpha and form in ("JPEG", "BMP"):
        raise InputError(
            f"{path} cannot be written, because {form} cannot keep transparency: choose png, webp, tiff or avif."
        )
    limit = _LARGEST_SIDE_PX.get(form, 2**31 - 1)
    if max(facts.height, facts.width) > limit:
        size = f"{facts.width}x{facts.height}"
        raise InputError(
            f"{path} cannot be written, because {form} holds at most {limit} pixels a side, not {size}: choose png or tiff."
        )
    if form == "BMP" and facts.height * facts.width > 2**30:
        raise InputError(
            f"{path} cannot be written, because BMP holds at most 4 GB: choose png or tiff."
        )
    most = _MOST_BITS.get(form, 16)
    lost = [f"{facts.bits} bits a channel became {most}, because {form} holds no more"] * (
        facts.bits > most
    )
    lost += [
        f"the profile for grey was left out, because {form} holds colours only"
    ] * _loses_profile(form, facts)
    return "; ".join(lost) or None


def _loses_profile(form: str, facts: Facts) -> bool:
    return facts.grey and facts.icc is not None and form in ("WEBP", "AVIF")


def format_of(path: Path) -> str:
    """JPEG, PNG, WEBP, TIFF, AVIF or BMP, by name. InputError when it ends in no format that can be
    written."""
    suffix = path.suffix.lower()
    if suffix in (".heic", ".heif"):
        raise InputError(
            f"{path} cannot be written, because HEIC has no free encoder: choose avif, jpg or png."
        )
    if suffix not in _FORMATS:
        raise InputError(
            f"{path} does not end in the name of an image format: choose one of {', '.join(_FORMATS)}."
        )
    return _FORMATS[suffix]


def write_photograph(
    path: str | os.PathLike[str],
    facts: Facts,
    strips: Iterable[np.ndarray],
    *,
    quality: int = 95,
    force: bool = False,
) -> None:
    """Write a photograph in the format that the suffix names, so that `path` either holds all of it
    or is as it was before.

    Args:
        path: where; the folder must exist.
        facts: what `strips` hold.
        strips: rows [n, width, channels] of `facts.dtype` from the top down. They are taken as the
            encoder needs them.
        quality: 1 to 100 for JPEG (colours not subsampled), WebP and AVIF; the other formats are
            lossless.
        force: replace a file that exists.

    InputError as `check_writable`, when the file exists and `force` is False, and when the place
    cannot be written to. What `strips` raises leaves no trace of a file.
    """
    path = Path(path)
    check_writable(path, facts)
    form = format_of(path)
    if not force and os.path.lexists(path):
        raise InputError(f"{path} exists already: choose another name, or force to replace it.")
    if form == "BMP" or not has_vips():
        _write_with_pillow(path, facts, strips, quality, force)
        return
    from ibsd.images.vips_writer import write_with_vips

    facts = replace(facts, icc=None) if _loses_profile(form, facts) else facts
    write_whole(
        path, lambda file: write_with_vips(Path(file.name), path, form, facts, strips, quality)
    )


def _with_pillow(path: Path) -> InMemory:
    if not has_vips() and path.suffix.lower() in (".avif", ".heic", ".heif"):
        raise InputError(
            f"{path} can only be read through libvips 8.18 or newer: {_EXTRA}, or convert it."
        )
    try:
        photo = read_photo(path)
    except InputError as error:
        if has_vips() or not ("8 bits" in str(error) or "limit against bombs" in str(error)):
            raise
        raise InputError(
            f"{str(error).rpartition(':')[0]}: {_EXTRA}, and it can be done."
        ) from None
    grey, alpha = photo.grey, photo.alpha is not None
    pixels = photo.rgb[..., :1] if grey else photo.rgb
    if photo.alpha is not None:
        pixels = np.dstack((pixels, photo.alpha))
    return InMemory(
        Facts(photo.rgb.shape[0], photo.rgb.shape[1], grey, alpha, icc=photo.icc, exif=photo.exif),
        pixels,
    )


_EXTRA = "pip install 'ibsd[upscale]'"


def _write_with_pillow(
    path: Path, facts: Facts, strips: Iterable[np.ndarray], quality: int, force: bool
) -> None:
    if facts.bits > 8 and format_of(path) != "BMP":
        raise InputError(
            f"{path} has more than 8 bits a channel, which only libvips 8.18 or newer can write: {_EXTRA}."
        )
    if format_of(path) == "AVIF":
        raise InputError(
            f"{path} can only be written through libvips 8.18 or newer: {_EXTRA}, or choose another format."
        )
    pixels = np.concatenate(list(strips))
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    rgb = pixels[..., :1].repeat(3, axis=2) if facts.grey else np.ascontiguousarray(pixels[..., :3])
    alpha = np.ascontiguousarray(pixels[..., -1]) if facts.alpha else None
    write_photo(path, Photo(rgb, alpha, facts.grey, facts.icc, facts.exif), quality, force)
