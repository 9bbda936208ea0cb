"""Image files through Pillow: 8 bits a channel, whole in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ibsd.images.exif import LARGEST_EXIF_BYTES
from ibsd.images.formats import (
    BMP,
    IMAGE_SUFFIXES,
    JPEG,
    PNG,
    TIFF,
    WEBP,
    check_writable,
    format_to_write,
)
from ibsd.images.photograph import InMemory
from ibsd.system import write_whole
from ibsd.types import InputError

_TIFF_MAX_BYTES = 4_000_000_000


def write_with_pillow(
    path: str | os.PathLike[str], photograph: InMemory, quality: int = 95
) -> None:
    """Write a photograph in the format that the suffix names, atomically: `path` holds all of it
    or is as before. An existing file is replaced.

    `quality` (1 to 100) is for JPEG, whose colours are not subsampled, and WebP. The other formats
    are lossless. InputError if the format cannot hold the photograph (transparency in JPEG or BMP,
    too many pixels a side), or if the folder cannot be written to.
    """
    path = Path(path)
    header = photograph.header
    check_writable(path, header)
    image_format = format_to_write(path)
    if image_format.needs_vips:
        raise InputError(
            f"{path} cannot be written here: choose one of {', '.join(IMAGE_SUFFIXES)}."
        )
    num_bytes = header.height * header.width * (4 if header.alpha else 3)
    if image_format is TIFF and num_bytes > _TIFF_MAX_BYTES:
        raise InputError(
            f"{path} cannot be written, because TIFF holds at most 4 GB, too few for "
            f"{header.width}x{header.height} pixels: choose png."
        )
    # TIFF stays uncompressed: with compression Pillow cannot write its EXIF.
    options: dict[str, Any] = {}
    if image_format is JPEG:
        options = {"quality": quality, "subsampling": 0}
    elif image_format is WEBP:
        options = {"quality": quality}
    elif image_format is PNG:
        # Of a photograph as small as with zlib's level 6, in a third of the time.
        options = {"compress_level": 1}
    if image_format is not BMP:
        if header.icc:
            options["icc_profile"] = header.icc
        if header.exif and (image_format is not JPEG or len(header.exif) <= LARGEST_EXIF_BYTES):
            options["exif"] = header.exif
    image = pillow_image(photograph)
    write_whole(path, lambda file: image.save(file, format=image_format.name, **options))


def pillow_image(photograph: InMemory) -> Image.Image:
    """The Pillow image of an 8-bit photograph: mode L, LA, RGB or RGBA, with colour profile and
    EXIF in its `info`."""
    header = photograph.header
    assert header.bits == 8, header.bits
    colours = photograph.pixels[..., 0] if header.grey else photograph.pixels[..., :3]
    image = Image.fromarray(np.ascontiguousarray(colours))
    if photograph.opacity is not None:
        image.putalpha(Image.fromarray(photograph.opacity))
    if header.icc:
        image.info["icc_profile"] = header.icc
    if header.exif:
        image.info["exif"] = header.exif
    return image
