"""PSNR, SSIM and luma: the figures every protocol of `protocols.py` is made of. All in float64, one
figure per image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ibsd.types import InputError, require

WINDOW_PX = 11
_SIGMA_PX = 1.5
_STRIP_PX = 128
"""Rows of windows at a time: the maps stay in the processor's cache, and a 12-megapixel picture
needs no gigabytes."""


def psnr(sr: Tensor, hr: Tensor, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, 10 log10(data_range^2 / mean squared error); [N, C, H, W]
    twice -> [N] float64.

    The mean runs over channels and pixels of one image. A perfect image has PSNR inf (and a mean
    with one in it is inf as well). A constant offset d in units of data_range gives -20 log10 d: an
    offset of 0.1 is 20 dB. Gradients flow to both. InputError for whole numbers of range 1.
    """
    _check(sr, hr, data_range)
    error = (sr.double() - hr.double()).square().mean((1, 2, 3))
    return 10 * torch.log10(data_range**2 / error)


def ssim(
    sr: Tensor, hr: Tensor, data_range: float = 1.0, padding: Literal["valid", "zero"] = "valid"
) -> Tensor:
    """Structural similarity (Wang et al., IEEE TIP 2004, equation 13), mean over channels and
    pixels; [N, C, H, W] twice -> [N] float64.

    Gaussian window of 11 x 11 px with sigma 1.5, k1 = 0.01, k2 = 0.03, population variances. 1 for
    equal images, symmetric, at most 1. `padding="valid"` uses the windows that lie inside the
    image, as the authors' MATLAB code and scikit-image (gaussian_weights) do; `"zero"` puts zeros
    around it and has one window per pixel, as most PyTorch code does, whose window is rounded to
    float32: so is this one's. Gradients flow to both. InputError for another padding, and with
    "valid" for an image below 11 px.
    """
    _check(sr, hr, data_range)
    require("SSIM: padding", padding, padding in ("valid", "zero"), "'valid' or 'zero'")
    if padding == "zero":
        margin = [WINDOW_PX // 2] * 4
        sr = torch.nn.functional.pad(sr, margin)
        hr = torch.nn.functional.pad(hr, margin)
    height, width = (side - WINDOW_PX + 1 for side in sr.shape[-2:])
    if min(height, width) < 1:
        raise InputError(
            f"SSIM needs {WINDOW_PX} x {WINDOW_PX} px after the border is cut, "
            f"not {sr.shape[-2]} x {sr.shape[-1]}: take larger images"
        )
    window = _gaussian(torch.float32 if padding == "zero" else torch.float64)
    c1 = (0.01 * data_range) ** 2
    c2 = (0.03 * data_range) ** 2
    total = torch.zeros(len(sr), dtype=torch.float64, device=sr.device)
    for top in range(0, height, _STRIP_PX):
        x, y = (image[..., top : top + _STRIP_PX + WINDOW_PX - 1, :].double() for image in (sr, hr))
        # Only the sum of the variances is needed, so four maps are blurred and not five.
        maps = torch.stack([x, y, x * x + y * y, x * y])
        mean_x, mean_y, mean_square, mean_product = _blur(maps, window)
        product = mean_x * mean_y
        square = mean_x * mean_x + mean_y * mean_y
        similarity = (
            (2 * product + c1)
            * (2 * (mean_product - product) + c2)
            / ((square + c1) * (mean_square - square + c2))
        )
        total += similarity.sum((1, 2, 3))
    return total / (sr.shape[1] * height * width)


def luma(rgb: Tensor) -> Tensor:
    """Y of ITU-R BT.601 in studio range: RGB in [0, 1], [N, 3, H, W] -> [N, 1, H, W] float64 in
    [16, 235], not rounded. InputError for another shape."""
    require("luma: the shape", list(rgb.shape), rgb.ndim == 4 and rgb.shape[1] == 3, "[N, 3, H, W]")
    red, green, blue = rgb.double().unbind(1)
    return (65.481 * red + 128.553 * green + 24.966 * blue + 16).unsqueeze(1)


def cut_border(image: Tensor, border: int) -> Tensor:
    """Without `border` px on each side; InputError if nothing is left, or for fewer than 0."""
    height, width = image.shape[-2:]
    require("the border to cut", border, border >= 0, "at least 0 px")
    if min(height, width) <= 2 * border:
        raise InputError(f"an image of {height} x {width} px is all border, {border} px wide")
    return image[..., border : height - border, border : width - border]


def _gaussian(dtype: torch.dtype) -> list[float]:
    """One axis of the window, normalised in `dtype`."""
    distance = torch.arange(WINDOW_PX, dtype=torch.float64) - WINDOW_PX // 2
    gaussian = torch.exp(-distance.square() / (2 * _SIGMA_PX**2)).to(dtype)
    return (gaussian / gaussian.sum()).tolist()


def _blur(maps: Tensor, window: list[float]) -> Tensor:
    """The window over the last two axes, only where it lies inside the maps.

    Shifted sums, one axis after the other: on a CPU torch's float64 convolution takes seven times
    as long.
    """
    for axis in (-2, -1):
        size = maps.shape[axis] - WINDOW_PX + 1
        blurred = maps.narrow(axis, 0, size) * window[0]
        for offset in range(1, WINDOW_PX):
            blurred.add_(maps.narrow(axis, offset, size), alpha=window[offset])
        maps = blurred
    return maps


def _check(sr: Tensor, hr: Tensor, data_range: float) -> None:
    if sr.shape != hr.shape or sr.ndim != 4:
        raise InputError(
            "two [N, C, H, W] tensors of equal shape are compared, "
            f"not {list(sr.shape)} and {list(hr.shape)}"
        )
    fits = data_range != 1 or (sr.is_floating_point() and hr.is_floating_point())
    require("data_range of whole numbers", data_range, fits, "255 for 8 bits, 65535 for 16")
