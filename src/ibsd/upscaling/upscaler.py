"""One picture through a student, in memory: an array, a Pillow image or a path.

`folders.py` upscales files of any size.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from ibsd.images import (
    InMemory,
    PhotographHeader,
    photograph_from_pillow,
    pillow_image,
    read_with_pillow,
)
from ibsd.inference.network import Network, TensorFunction, as_network
from ibsd.inference.open import open_network
from ibsd.types import InputError, Scale
from ibsd.upscaling.strips import TileSize, upscaled_strips

if TYPE_CHECKING:
    from PIL import Image


@overload
def upscale(
    image: np.ndarray,
    student: TensorFunction | Network | str | os.PathLike[str],
    tile: TileSize = "auto",
    *,
    scale: Scale | None = None,
) -> np.ndarray: ...
@overload
def upscale(
    image: Image.Image | str | os.PathLike[str],
    student: TensorFunction | Network | str | os.PathLike[str],
    tile: TileSize = "auto",
    *,
    scale: Scale | None = None,
) -> Image.Image: ...
def upscale(
    image: np.ndarray | Image.Image | str | os.PathLike[str],
    student: TensorFunction | Network | str | os.PathLike[str],
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
            parameters, and is left in the mode it was in. Or a `Network`, the name of shipped
            weights, such as "imdn-x4", or the path of a weight file or an exported model. Names and
            paths are opened anew by each call.
        tile: side of a tile in LR pixels, "auto" (the network's own, 256 for a torch student) or
            "none".
        scale: needed only if the student does not say it.

    Returns:
        An array for an array: [sH, sW, 3], [sH, sW] or [sH, sW, 4], of the same type. A Pillow
        image for a Pillow image *and for a path*: nothing is written, `.save()` is yours. It is
        upright, of mode L, LA, RGB or RGBA, with colour profile and EXIF in `.info`. Pillow has no
        16-bit colours, so such files are for `upscale_files`.

    Raises:
        InputError: an array of another shape or type, a file that cannot be read, more than 8 bits
            a channel in a file, a tile that is too small, a scale that does not fit the student.
    """
    if isinstance(student, (str, os.PathLike)):
        student = open_network(Path(student))
    if isinstance(image, np.ndarray):
        result = _upscaled(_from_array(image), student, tile, scale)
        return result[..., 0] if image.ndim == 2 else result
    from PIL import Image

    if isinstance(image, Image.Image):
        photograph = photograph_from_pillow(image)
    elif isinstance(image, (str, os.PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance]
        photograph = read_with_pillow(image)
    else:
        raise InputError(
            f"a {type(image).__name__} cannot be upscaled: "
            "give an array of uint8 or uint16, a Pillow image or a path."
        )
    pixels = _upscaled(photograph, student, tile, scale)
    header = replace(photograph.header, height=pixels.shape[0], width=pixels.shape[1])
    return pillow_image(InMemory(header, pixels))


def _upscaled(
    photograph: InMemory, student: TensorFunction | Network, tile: TileSize, scale: Scale | None
) -> np.ndarray:
    with as_network(student, scale) as network:
        return np.concatenate(list(upscaled_strips(photograph, network, tile)))


def _from_array(array: np.ndarray) -> InMemory:
    shape = array.shape
    is_grey = len(shape) == 2
    is_colour = len(shape) == 3 and shape[2] in (3, 4)
    right_type = array.dtype == np.uint8 or array.dtype == np.uint16
    if array.size == 0 or not right_type or not (is_grey or is_colour):
        raise InputError(
            f"an array of {array.dtype} {list(shape)} is no picture: "
            "give uint8 or uint16 [H, W, 3], [H, W] or [H, W, 4]."
        )
    pixels = array[..., None] if is_grey else array
    header = PhotographHeader(
        shape[0], shape[1], grey=is_grey, alpha=pixels.shape[2] == 4, bits=8 * array.dtype.itemsize
    )
    return InMemory(header, pixels)
