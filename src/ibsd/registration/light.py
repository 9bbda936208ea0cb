"""Photographs as arrays: as they are, in linear light, and in the square root of light.

Lenses and pixels average in linear light, so pictures are shrunk and blurred there. They are
compared in its square root, where noise is about as strong in shadows as in highlights.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from ibsd.images import InMemory, open_photograph, to_eight_bits
from ibsd.system import is_out_of_memory
from ibsd.types import InputError

Image = NDArray[np.uint8 | np.uint16]
"""[H, W, 3], sRGB."""
Plane = NDArray[np.float32]
"""[h, w] or [h, w, 3]."""

T = TypeVar("T", bound=np.generic)

_STRIP = 32
"""Rows of the result that are made at once: the memory of few rows is used again, and new memory
takes longer than the work."""
_READ_ROWS = 4
"""Rows that are read at once: copies of a whole photograph take as long as decoding it."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of ITU-R BT.601."""


def read_photograph(path: str | os.PathLike[str]) -> Image:
    """The upright pixels of a file, uint8 or uint16 [H, W, 3]. Grey gets three equal channels;
    opacity is dropped. InputError as `open_photograph`, and where the memory does not suffice."""
    photograph = open_photograph(path)
    header = photograph.header
    try:
        pixels = np.empty((header.height, header.width, header.channels), header.dtype)
        for top in range(0, header.height, _READ_ROWS):
            part = pixels[top : top + _READ_ROWS]
            part[:] = photograph.read(len(part))
        return InMemory(header, pixels).rgb
    except Exception as error:
        if is_out_of_memory(error):
            raise InputError(f"{path} needs more memory than there is: make it smaller") from error
        raise


def shrunk_light(image: Image, factor: int) -> Plane:
    """sRGB [H, W, 3] -> linear light [H // factor, W // factor, 3] in [0, 1], each value the mean
    of factor x factor pixels. Rows and columns that are left over are dropped."""
    import cv2

    height, width = (side // factor for side in image.shape[:2])
    table = _linear_table(image.dtype.itemsize)
    light = np.empty((height, width, 3), np.float32)
    for top in range(0, height, _STRIP):  # a whole photograph in light would fill the memory
        bottom = min(top + _STRIP, height)
        part = np.ascontiguousarray(image[top * factor : bottom * factor, : width * factor])
        strip = cv2.LUT(part, table) if part.dtype == np.uint8 else table[part]
        if factor > 1:
            strip = cv2.resize(strip, (width, bottom - top), interpolation=cv2.INTER_AREA)
        light[top:bottom] = strip
    return light


def shrunk_again(light: Plane, factor: int) -> Plane:
    """`shrunk_light` of what is linear light already."""
    import cv2

    height, width = (side // factor for side in light.shape[:2])
    part = light[: height * factor, : width * factor]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def shrunk(image: Image, factor: int) -> NDArray[np.uint8]:
    """uint8 of [H // factor, W // factor, 3], as `shrunk_light` but of sRGB: to look at."""
    import cv2

    height, width = (side // factor for side in image.shape[:2])
    part = to_eight_bits(image[: height * factor, : width * factor])
    small = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def luma(light: Plane) -> Plane:
    """[h, w, 3] -> [h, w]."""
    import cv2

    return np.asarray(cv2.transform(light, np.array([LUMA], np.float32)), np.float32)


def largest_channel(image: NDArray[T]) -> NDArray[T]:
    """[h, w, 3] -> [h, w]. Four times as fast as `max(2)`."""
    return np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])


def root(light: Plane) -> Plane:
    """The square root of light; negative values, which filters may leave, count as 0."""
    return np.sqrt(np.maximum(light, 0))


def blurred(plane: NDArray[T], sigma_px: float) -> NDArray[T]:
    """Gaussian blur of standard deviation `sigma_px`. Edges are continued."""
    import cv2

    if sigma_px < 0.05:
        return plane
    blur: Any = cv2.GaussianBlur  # its stub forgets the type of the pixels
    return blur(plane, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)


def blurred_bent(light: Plane, sigma_px: float, tone: float) -> Plane:
    """Blur of light that a tone curve, about the power `tone`, has bent after the lens blurred it:
    the curve is undone before and done again after. Else means of bent light are another curve."""
    straight = blurred(np.power(light, np.float32(1 / tone)), sigma_px)
    return np.power(np.maximum(straight, 0), np.float32(tone))


def sampled(
    plane: NDArray[T],
    places: NDArray[np.float32],
    method: Literal["linear", "cubic", "lanczos"] = "linear",
) -> NDArray[T]:
    """An image at places [h, w, 2], as indices (x, y); its edges are continued."""
    import cv2

    methods = {
        "linear": cv2.INTER_LINEAR,
        "cubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
    }
    remap: Any = cv2.remap  # its stub knows no call with one map
    return remap(plane, places, None, methods[method], borderMode=cv2.BORDER_REPLICATE)


def dilated(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """The mask and what lies within `radius` pixels of it."""
    import cv2

    if radius < 1:
        return mask
    side = 2 * radius + 1
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(mask.astype(np.uint8), shape) > 0


def box_mean(plane: Plane, side: int) -> Plane:
    """The mean of side x side pixels around each."""
    import cv2

    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def encoded(light: NDArray[np.floating]) -> Plane:
    """Linear light -> sRGB, both in [0, 1] (IEC 61966-2-1)."""
    clipped = np.clip(light, 0, 1)
    curve = 1.055 * np.maximum(clipped, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(clipped <= 0.0031308, 12.92 * clipped, curve).astype(np.float32)


@cache
def _linear_table(num_bytes: int) -> NDArray[np.float32]:
    """Linear light of every level of an 8-bit or 16-bit channel (IEC 61966-2-1)."""
    srgb = np.linspace(0, 1, 256**num_bytes)
    curve = ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(srgb <= 0.04045, srgb / 12.92, curve).astype(np.float32)
