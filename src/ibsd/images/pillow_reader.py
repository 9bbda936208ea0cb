"""Image files through Pillow: 8 bits a channel, whole in memory, the same on every machine.

Pillow would cut 16 bits to 8 without an error, so deeper files are refused. Images are upright
after reading: the EXIF orientation is applied.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from typing import IO, Any, cast

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.ExifTags import Base

from ibsd.images.errors import damaged, reason_of, several_pictures, unreadable
from ibsd.images.exif import portable_exif
from ibsd.images.formats import PILLOW_FORMATS
from ibsd.images.photograph import InMemory, PhotographHeader
from ibsd.system import is_out_of_memory, quiet_warnings
from ibsd.types import InputError

_TRANSPOSE_OF_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


class TooDeepError(InputError):
    """More than 8 bits a channel."""


class TooLargeError(InputError):
    """More pixels than Pillow's limit."""


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) in pixels of the upright image, from the header alone: the pixels may still
    be damaged. InputError as `read_rgb`."""
    with _opened(path) as image:
        width, height = image.size
        # Pillow turns the size of a TIFF itself.
        sideways = image.format != "TIFF" and _orientation(image) in _SIDEWAYS
    return (width, height) if sideways else (height, width)


def read_with_pillow(path: str | os.PathLike[str], first_frame: bool = False) -> InMemory:
    """The upright photograph in a file, with alpha, colour profile and EXIF. `first_frame` takes
    the first of several.

    InputError if the file is missing, unreadable, no image, cut short, animated, of more than 8
    bits a channel, or larger than Pillow's limit of 89 million pixels.
    """
    with _opened(path, first_frame) as image:
        return photograph_from_pillow(image, str(path))


def photograph_from_pillow(image: Image.Image, name: str = "the image") -> InMemory:
    """The upright photograph in a Pillow image, which stays unchanged.

    InputError, which names `name`, if it cannot be decoded or has more than 8 bits a channel.
    """
    _refuse_deep(image, name)
    try:
        # Loading parses the metadata of a TIFF again.
        with quiet_warnings() if image.format == "TIFF" else nullcontext():
            image.load()
        return _upright_photograph(image)
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
        if is_out_of_memory(error):
            raise MemoryError(f"{name}: {reason_of(error)}") from error
        raise damaged(name, reason_of(error)) from error


def _upright_photograph(image: Image.Image) -> InMemory:
    transpose = _TRANSPOSE_OF_ORIENTATION.get(_orientation(image))
    upright = image if transpose is None else image.transpose(transpose)
    icc: bytes | None = image.info.get("icc_profile") or None
    if upright.mode == "CMYK" and icc:
        upright = _cmyk_to_srgb(upright, icc)
    if image.mode in ("CMYK", "LAB"):
        icc = None  # it describes numbers that are no longer there
    if upright.mode == "La":
        upright = upright.convert("LA")  # Pillow converts it to nothing else
    grey = upright.mode in ("1", "L", "LA")
    alpha = upright.has_transparency_data
    pixels = np.array(upright.convert("RGBA" if alpha else "RGB"))
    if grey:
        pixels = pixels[..., [0, 3]] if alpha else pixels[..., :1]
    height, width = pixels.shape[:2]
    header = PhotographHeader(
        height, width, grey=grey, alpha=alpha, icc=icc, exif=portable_exif(image)
    )
    return InMemory(header, pixels)


@contextmanager
def _opened(path: str | os.PathLike[str], first_frame: bool = False) -> Generator[Image.Image]:
    """The image of a file with its header read. The file is closed after."""
    try:
        # Not by Pillow: it maps an uncompressed TIFF that it opened itself into memory, and turns
        # it wrongly (13.0).
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise unreadable(path, error) from error
    with file:
        yield _read_header(file, path, first_frame)


def _read_header(file: IO[bytes], path: str | os.PathLike[str], first_frame: bool) -> Image.Image:
    with quiet_warnings(Image.DecompressionBombWarning):
        try:
            Image.init()
            image = Image.open(file, formats=PILLOW_FORMATS)
            # MPO is a phone's JPEG with further pictures in it: the first is the photograph.
            num_frames: int = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(path) from error
        except UnidentifiedImageError as error:
            raise InputError(
                f"{path} is not an image that can be read ({', '.join(PILLOW_FORMATS)}), "
                "or is damaged: replace it or take it out."
            ) from error
        except Exception as error:  # as in photograph_from_pillow
            raise damaged(path, reason_of(error)) from error
    if num_frames > 1 and not first_frame:
        raise several_pictures(path, num_frames)
    return image


def _refuse_deep(image: Image.Image, name: str) -> None:
    """TooDeepError for more than 8 bits a channel, also where Pillow would decode 8 of them."""
    deep = image.mode.startswith(("I", "F"))
    tiles: list[Any] | None = getattr(image, "tile", None)
    if image.format == "PNG" and tiles:
        deep = deep or ";16" in str(tiles[0][3])  # "RGB;16B": Pillow keeps the high bytes only
    if image.format == "TIFF":
        deep = deep or max(_tiff_bits(image)) > 8
    if deep:
        raise TooDeepError(
            f"{name} has more than 8 bits a channel, which would be lost here: "
            "save it with 8 bits, and of a pair LR and HR alike."
        )


def _tiff_bits(image: Image.Image) -> tuple[int, ...]:
    bits: int | tuple[int, ...] = getattr(image, "tag_v2", {}).get(Base.BitsPerSample, 1)
    return bits if isinstance(bits, tuple) else (bits,)


def _cmyk_to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """By the profile of the image. One that cannot be used, such as an RGB profile, is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(icc))
        target = cast(Any, ImageCms).createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image.convert("RGB")
    assert converted is not None
    return converted


def _orientation(image: Image.Image) -> int:
    """1 to 8. A broken EXIF block counts as 1 (upright), because the image may still be sound."""
    with quiet_warnings():
        try:
            orientation = image.getexif().get(Base.Orientation, 1)
        except Exception:  # as in photograph_from_pillow
            return 1
    return orientation if isinstance(orientation, int) else 1


def _too_large(path: str | os.PathLike[str]) -> TooLargeError:
    return TooLargeError(
        f"{path} has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels, "
        "Pillow's limit against bombs: cut it into parts."
    )
