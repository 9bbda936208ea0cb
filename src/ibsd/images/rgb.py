"""8-bit RGB images for training and evaluation: files, arrays and tensors.

Files are read and written by Pillow, so that every machine gets the same values.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ibsd.images.photograph import InMemory, PhotographHeader
from ibsd.images.pillow_reader import read_with_pillow
from ibsd.images.pillow_writer import write_with_pillow
from ibsd.types import Scale

if TYPE_CHECKING:
    from torch import Tensor


def read_rgb(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image as uint8 [H, W, 3], upright. Grey and palette become RGB, alpha is dropped.

    InputError if the file is missing, unreadable, no image, cut short, animated, of more than 8
    bits a channel, or larger than Pillow's limit of 89 million pixels.
    """
    return read_with_pillow(path).rgb


def write_rgb(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write uint8 [H, W, 3] in the format that the suffix names, atomically. An existing file is
    replaced. InputError as `write_with_pillow`."""
    height, width = array.shape[:2]
    write_with_pillow(path, InMemory(PhotographHeader(height, width), array))


def to_tensor(array: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in [0, 1], on the CPU."""
    import torch

    assert array.dtype == np.uint8, array.dtype
    assert array.ndim == 3, array.shape
    planes = torch.tensor(np.ascontiguousarray(array)).permute(2, 0, 1).unsqueeze(0)
    return planes.contiguous().float().div_(255)


def to_array(tensor: Tensor) -> np.ndarray:
    """[1, 3, H, W] or [3, H, W], about [0, 1] -> uint8 [H, W, 3]: clamped, then rounded, halves to
    even. No gradient."""
    import torch

    if tensor.ndim == 4:
        assert tensor.shape[0] == 1, f"one image at a time, not {tensor.shape[0]}"
        tensor = tensor[0]
    levels = tensor.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def bicubic(tensor: Tensor, scale: Scale) -> Tensor:
    """[N, C, H, W] -> [N, C, sH, sW] by torch's bicubic interpolation (a = -0.75, half-pixel
    centres), not clamped. Differentiable."""
    from torch.nn.functional import interpolate

    return interpolate(tensor, scale_factor=scale, mode="bicubic", align_corners=False)
