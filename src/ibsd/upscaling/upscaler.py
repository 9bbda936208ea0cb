"""One picture through a student: arrays, Pillow images and paths in memory; `folders.py` writes
files of any size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, overload

import numpy as np

from ibsd.images import Facts, InMemory
from ibsd.images.rgb import Photo, image_from_photo, photo_from_image, read_photo
from ibsd.inference.network import Network, TensorFunction, as_network
from ibsd.types import InputError, Scale
from ibsd.upscaling.strips import TileSize, upscaled_strips

if TYPE_CHECKING:
    from PIL import Image


@overload
def upscale(
    image: np.ndarray,
    student: TensorFunction | Network,
    tile: TileSize = "auto",
    *,
    scale: Scale | None = None,
) -> np.ndarray: ...
@overload
def upscale(
    image: Image.Image | str | os.PathLike[str],
    student: TensorFunction | Network,
    tile: TileSize = "auto",
    *,
    scale: Scale | None = None,
) -> Image.Image: ...
def upscale(
    image: np.ndarray | Image.Image | str | os.PathLike[str],
    student: TensorFunction | Network,
    tile: TileSize = "auto",
    *,
    scale: Scale | None = None,
) -> np.ndarray | Image.Image:
    """Upscale one picture; the same kind comes out.

    Args:
        image: a numpy array, uint8 or uint16, [H, W, 3] RGB, [H, W] grey or [H, W, 4] RGB with
            alpha (not premultiplied); a Pillow image; or the path of an image file.
        student: a network from `create_student` or `load_student`, or any callable [1, 3, H, W] ->
            [1, 3, sH, sW] in [0, 1]. It runs in eval mode without gradients, on the device of its
            parameters, and is left in the mode it was in. Or a `Network`.
        tile: side of a tile in LR pixels, "auto" (the network's own, 256 for a torch student) or
            "whole".
        scale: needed only if the student does not say it.

    Returns:
        An array for an array: [sH, sW, 3], [sH, sW] or [sH, sW, 4], of the same type. A Pillow
            image for a Pillow image *and for a path*:
        nothing is written, `.save()` is yours (`upscale_files` writes). It is upright, of mode L,
        LA, RGB or RGBA, with colour profile and EXIF in `.info`; Pillow has no 16 bits for colours,
        so files that have are for `upscale_files`.

    Raises:
        InputError: an array of another shape or type, a file that cannot be read, more than 8 bits
            a channel in a file, a tile that is too small, a scale that does not fit the student.
    """
    if isinstance(image, np.ndarray):
        photograph = _from_array(image)
        result = _upscaled(photograph, student, tile, scale)
        return result[..., 0] if image.ndim == 2 else result
    from PIL import Image

    if isinstance(image, Image.Image):
        photo = photo_from_image(image)
    elif isinstance(image, (str, os.PathLike)):
        photo = read_photo(image)
    else:
        raise InputError(
            f"a {type(image).__name__} cannot be upscaled: give an array of uint8 or uint16, a Pillow image or a path."
        )
    pixels = photo.rgb if photo.alpha is None else np.dstack((photo.rgb, photo.alpha))
    pixels = pixels[..., [0, 3][: 1 + (photo.alpha is not None)]] if photo.grey else pixels
    facts = Facts(photo.rgb.shape[0], photo.rgb.shape[1], photo.grey, photo.alpha is not None)
    result = _upscaled(InMemory(facts, pixels), student, tile, scale)
    rgb = result[..., :1].repeat(3, axis=2) if photo.grey else result[..., :3]
    return image_from_photo(
        Photo(
            rgb, result[..., -1].copy() if facts.alpha else None, photo.grey, photo.icc, photo.exif
        )
    )


def _upscaled(
    photograph: InMemory, student: TensorFunction | Network, tile: TileSize, scale: Scale | None
) -> np.ndarray:
    with as_network(student, scale) as network:
        return np.concatenate(list(upscaled_strips(photograph, network, tile)))


def _from_array(array: np.ndarray) -> InMemory:
    shape = array.shape
    right = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    if array.dtype not in (np.uint8, np.uint16) or array.size == 0 or not right:
        raise InputError(
            f"an array of {array.dtype} {list(shape)} is no picture: give uint8 or uint16 [H, W, 3], [H, W] or [H, W, 4]."
        )
    pixels = array[..., None] if len(shape) == 2 else array
    return InMemory(
        Facts(shape[0], shape[1], len(shape) == 2, pixels.shape[2] == 4, 8 * array.dtype.itemsize),
        pixels,
    )
