"""One picture through a student: colour by the network, alpha by bicubic, metadata carried."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, overload

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ibsd.images import Photo, bicubic, image_from_photo, photo_from_image, read_photo, to_array, to_tensor
from ibsd.types import InputError, Scale
from ibsd.upscaling.tiling import sr_tiles

TileSize = int | Literal["auto", "whole"]
"""Side of a tile in LR pixels. "auto" is `AUTO_TILE_PX` on every machine, so that no result depends on memory; "whole" is no tiles."""

AUTO_TILE_PX = 256
OVERLAP_PX = 32
SMALLEST_TILE_PX = 16

Network = Callable[[Tensor], Tensor]


@overload
def upscale(image: np.ndarray, student: Network, tile: TileSize = "auto", *, scale: Scale | None = None) -> np.ndarray: ...
@overload
def upscale(
    image: Image.Image | str | os.PathLike[str], student: Network, tile: TileSize = "auto", *, scale: Scale | None = None
) -> Image.Image: ...
def upscale(
    image: np.ndarray | Image.Image | str | os.PathLike[str], student: Network, tile: TileSize = "auto", *, scale: Scale | None = None
) -> np.ndarray | Image.Image:
    """Upscale one picture; the same kind comes out.

    Args:
        image: a numpy array, uint8 [H, W, 3] RGB, [H, W] grey or [H, W, 4] RGB with alpha (not premultiplied); a Pillow image; or the path
            of an image file.
        student: a network from `create_student` or `load_student`, or any callable [1, 3, H, W] -> [1, 3, sH, sW] in [0, 1]. It runs in
            eval mode without gradients, on the device of its parameters, and is left in the mode it was in.
        tile: side of a tile in LR pixels, "auto" (256) or "whole".
        scale: needed only if the student has no `spec.scale`.

    Returns:
        An array for an array: [sH, sW, 3], [sH, sW] or [sH, sW, 4]. A Pillow image for a Pillow image *and for a path*: nothing is written,
        `.save()` is yours (`upscale_files` writes). It is upright, of mode L, LA, RGB or RGBA, with colour profile and EXIF in `.info`.

    Raises:
        InputError: an array of another shape or type, a file that cannot be read, more than 8 bits a channel, a tile that is too small, a
            scale that does not fit the student.
    """
    if isinstance(image, np.ndarray):
        photo = _photo_from_array(image)
        result = upscale_photo(photo, student, tile, scale=scale)
        if image.ndim == 2:
            return np.ascontiguousarray(result.rgb[..., 0])
        return result.rgb if result.alpha is None else np.dstack((result.rgb, result.alpha))
    if isinstance(image, Image.Image):
        photo = photo_from_image(image)
    elif isinstance(image, (str, os.PathLike)):
        photo = read_photo(image)
    else:
        raise InputError(f"a {type(image).__name__} cannot be upscaled: give a uint8 array, a Pillow image or a path.")
    return image_from_photo(upscale_photo(photo, student, tile, scale=scale))


def upscale_photo(
    photo: Photo,
    student: Network,
    tile: TileSize = "auto",
    *,
    scale: Scale | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> Photo:
    """Upscale a photograph with all that belongs to it.

    A grey one stays grey (mean of the result's channels). Alpha goes through bicubic interpolation; before the network sees the colours,
    those under fully transparent pixels, which nobody saw, are replaced from visible neighbours, so that they cannot bleed into the visible
    edge. `on_tile(done, all)` is called after each tile. InputError as `upscale`.
    """
    scale = scale_of(student, scale)
    tile_px, overlap_px = tile_and_overlap(tile)
    lr = to_tensor(photo.rgb)
    alpha = None if photo.alpha is None else torch.tensor(photo.alpha)[None, None].float().div_(255)
    if alpha is not None:
        lr = fill_transparent(lr, alpha)
    height, width = photo.rgb.shape[:2]
    sr = np.empty((height * scale, width * scale, 3), np.uint8)
    with _inference(student) as device:
        for done, (top, left, part, total) in enumerate(sr_tiles(student, lr.to(device), scale, tile_px, overlap_px), start=1):
            if not torch.isfinite(part).all():
                raise InputError(
                    "the student's result is not a number somewhere: its weights are damaged or its training diverged, load others."
                )
            part = part.mean(dim=1, keepdim=True).expand_as(part) if photo.grey else part
            sr[top : top + part.shape[-2], left : left + part.shape[-1]] = to_array(part)
            if on_tile:
                on_tile(done, total)
    if alpha is not None:
        alpha = bicubic(alpha, scale).clamp_(0, 1).mul_(255).round_().to(torch.uint8)[0, 0]
    return replace(photo, rgb=sr, alpha=None if alpha is None else alpha.numpy())


def scale_of(student: Network, scale: Scale | None = None) -> Scale:
    """`scale`, or the student's own. InputError when neither is known or the two differ."""
    own: Scale | None = getattr(getattr(student, "spec", None), "scale", None)
    known = own if scale is None else scale
    if known is None:
        raise InputError("the student does not say its scale (it has no spec.scale): give scale.")
    if own not in (None, known):
        raise InputError(f"the student is made for scale {own}, not {scale}: leave scale out or load another student.")
    return known


def tile_and_overlap(tile: TileSize) -> tuple[int, int]:
    """Side and overlap of the tiles in LR pixels. InputError for a tile below `SMALLEST_TILE_PX` or an unknown word."""
    if tile == "auto":
        return AUTO_TILE_PX, OVERLAP_PX
    if tile == "whole":
        return 2**31, OVERLAP_PX
    if not isinstance(tile, int) or tile < SMALLEST_TILE_PX:
        raise InputError(f'tile is {tile!r}: choose "auto", "whole" or a number of pixels from {SMALLEST_TILE_PX}.')
    return tile, min(OVERLAP_PX, tile // 4)


def fill_transparent(rgb: Tensor, alpha: Tensor) -> Tensor:
    """Replace the colours where alpha is 0 by an average of visible ones near by; all others stay as they are.

    `rgb` [N, 3, H, W], `alpha` [N, 1, H, W], both in [0, 1]. Averages over 2x2, 4x4, ... pixels, weighted by alpha, fill what the
    finer ones leave open (the pull-push of Gortler et al., SIGGRAPH 1996).
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return rgb
    weight = F.avg_pool2d(alpha, 2, ceil_mode=True, count_include_pad=False)
    colour = F.avg_pool2d(rgb * alpha, 2, ceil_mode=True, count_include_pad=False) / weight.clamp_min(1e-12)
    coarse = fill_transparent(colour, weight)
    return torch.where(hidden, F.interpolate(coarse, size=rgb.shape[-2:], mode="bilinear", align_corners=False), rgb)


def _photo_from_array(array: np.ndarray) -> Photo:
    shape = array.shape
    if array.dtype != np.uint8 or array.size == 0 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
        raise InputError(f"an array of {array.dtype} {list(shape)} is not a picture: give uint8 [H, W, 3], [H, W] or [H, W, 4].")
    if len(shape) == 2:
        return Photo(np.repeat(array[..., None], 3, axis=2), grey=True)
    return Photo(array[..., :3], alpha=np.ascontiguousarray(array[..., 3]) if shape[2] == 4 else None)


@contextmanager
def _inference(student: Network) -> Iterator[torch.device]:
    """Eval mode and no gradients inside; every module's own mode is put back after. Gives the device of the student."""
    modules = list(student.modules()) if isinstance(student, nn.Module) else []
    modes = [module.training for module in modules]
    parameter = next(student.parameters(), None) if isinstance(student, nn.Module) else None
    try:
        if isinstance(student, nn.Module):
            student.eval()
        with torch.inference_mode():
            yield torch.device("cpu") if parameter is None else parameter.device
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
