"""Blur kernels of one strength in several shapes, and the weights by which HR pixels become an LR
pixel. All batched, on any device.

Strength is one number for every shape: the standard deviation of the spread, the root of its mean
second moment over the two axes. A disc and a Gaussian of one strength blur equally, to second
order, and differ in shape alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

BLURS = ("gaussian", "elliptic", "generalised", "disc", "motion")
"""Round Gaussian; Gaussian with two axes at any angle; generalised Gaussian, sharper or flatter
(both BSRGAN: Zhang et al., ICCV 2021, arXiv:2103.14006); defocus, a disc; motion along a line."""

RESAMPLERS = ("area", "bilinear", "bicubic", "lanczos")
"""Mean of the pixels covered, as on a sensor; triangle; Keys' cubic with -0.5, as Pillow and
`images.bicubic`; Lanczos with three lobes."""

SUPPORT = {"area": 0.5, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
"""Half of the width, in LR pixels."""


def blur_kernels(
    family: str, sigma: Tensor, ratio: Tensor, angle: Tensor, power: Tensor, radius: int
) -> Tensor:
    """Kernels [N, 2 radius + 1, 2 radius + 1] that sum to 1.

    Args:
        family: one of `BLURS`.
        sigma: [N], strength in pixels; 0 leaves a picture as it is.
        ratio: [N], minor axis over major axis in (0, 1], of `elliptic` and `generalised`.
        angle: [N], of the major axis or the motion, in radians.
        power: [N], exponent of `generalised`; 2 is the Gaussian.
        radius: of the window in pixels; at least 3 sigma, or the kernel is cut off.
    """
    steps = torch.arange(-radius, radius + 1, dtype=sigma.dtype, device=sigma.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    # A floor far below a pixel, where the kernel is one sample: strength 0 is no blur instead of a
    # division by 0.
    sigma, ratio, angle, power = (
        value.view(-1, 1, 1) for value in (sigma.clamp(min=1e-2), ratio, angle, power)
    )
    along = x * angle.cos() + y * angle.sin()
    across = y * angle.cos() - x * angle.sin()
    if family == "disc":  # a disc of radius R has variance R^2 / 4 along each axis
        weight = (2 * sigma + 0.5 - (x.square() + y.square()).sqrt()).clamp(0, 1)
    elif family == "motion":  # a line of length L has variance L^2 / 12 along itself and 0 across
        length = (sigma * math.sqrt(6) + 0.5 - along.abs()).clamp(0, 1)
        weight = length * (1 - across.abs()).clamp(0, 1)
    else:
        if family == "gaussian":
            ratio = torch.ones_like(ratio)
        major = sigma * (2 / (1 + ratio.square())).sqrt()
        distance = (along.square() + (across / ratio).square()) / major.square()
        if family == "generalised":
            # exp(-(r / a)^p) has variance a^2 gamma(4 / p) / (2 gamma(2 / p)) along each axis.
            shape = (torch.lgamma(4 / power) - torch.lgamma(2 / power)).exp() / 2
            weight = torch.exp(-((distance * shape) ** (power / 2)))
        else:
            weight = torch.exp(-distance / 2)
    return weight / weight.sum(dim=(1, 2), keepdim=True)


def resampling_weights(family: str, scale: int, phase: Tensor, radius: int) -> Tensor:
    """Weights [N, 2 radius] (even scale) or [N, 2 radius + 1] of the HR pixels around an LR pixel's
    centre, along one axis; sums are 1.

    Args:
        phase: [N], by how many HR pixels the LR grid stands off its registered place.
        radius: in HR pixels; at least `SUPPORT` times `scale` plus the phase.
    """
    even = scale % 2 == 0
    steps = torch.arange(-radius, radius + (not even), dtype=phase.dtype, device=phase.device) + (
        0.5 if even else 0.0
    )
    x = ((steps - phase.view(-1, 1)) / scale).abs()
    if family == "area":
        weight = ((0.5 - x) * scale + 0.5).clamp(0, 1)  # a pixel half covered counts half
    elif family == "bilinear":
        weight = (1 - x).clamp(min=0)
    elif family == "bicubic":
        near = (1.5 * x - 2.5) * x * x + 1
        far = ((-0.5 * x + 2.5) * x - 4) * x + 2
        weight = torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
    else:
        weight = torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)
    return weight / weight.sum(dim=1, keepdim=True)


def shrunk(hr: Tensor, blurs: Tensor, rows: Tensor, columns: Tensor, scale: int) -> Tensor:
    """Blur and downscaling in one strided convolution: [N, 3, H, W] -> [N, 3, H / scale, W /
    scale]; edges are continued.

    Args:
        blurs: [N, k, k], of each image.
        rows, columns: [N, m], `resampling_weights` along the two axes.
    """
    taps = rows.unsqueeze(2) * columns.unsqueeze(1)
    size = blurs.shape[-1] + taps.shape[-1] - 1
    # Two convolutions are one with the convolution of both kernels. conv2d correlates, hence the
    # flip.
    padded = F.pad(taps, [blurs.shape[-1] - 1] * 4).unsqueeze(0)
    kernel = F.conv2d(padded, blurs.flip(1, 2).unsqueeze(1), groups=len(blurs))[0]
    before = (size - scale) // 2
    after = size - scale - before
    padded = F.pad(hr, [before, after, before, after], mode="replicate")
    flat = padded.reshape(1, -1, *padded.shape[-2:])
    kernel = kernel.repeat_interleave(3, dim=0).unsqueeze(1)
    return F.conv2d(flat, kernel, stride=scale, groups=len(kernel)).view(
        len(hr), 3, hr.shape[2] // scale, hr.shape[3] // scale
    )
