"""A simple camera: LR images for photographs that have no LR partner of their own.

A photograph goes through blur, downscaling, noise and JPEG, in the order of light. Each step draws
its own strength. LR and HR stay registered: the centre of an LR pixel is the centre of the HR
pixels that it covers, as in `images.bicubic`.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ibsd.data.degradation import Range, check_shrinks
from ibsd.data.jpeg import libjpeg
from ibsd.data.linear_light import to_linear, to_srgb
from ibsd.types import Scale, require, require_scale


@torch.no_grad()
def camera_like(
    hr: Tensor,
    scale: Scale,
    generator: Generator,
    *,
    blur: Range = (0.2, 0.6),
    shot_noise: Range = (1e-5, 1e-3),
    read_noise: Range = (2e-4, 2e-3),
    jpeg_quality: tuple[int, int] | None = (80, 97),
) -> Tensor:
    """hr [N, 3, H, W] in [0, 1], H and W multiples of `scale` -> lr [N, 3, H / scale, W / scale] in
    [0, 1]; no gradient.

    Every image of the batch draws its own parameters, one image after the other, so that a batch
    equals its images in turn. The same state of `generator` (on the device of `hr`) gives the same
    result. Linear light is by the transfer curve of sRGB, not a bare gamma of 2.2: the slope of
    that is infinite at black and would blow up the noise.

    Args:
        blur: standard deviation of a Gaussian in *LR* pixels, uniform, in linear light. Half of the
            images get a round one, half an elliptic one at any angle (BSRGAN: Zhang et al., ICCV
            2021, arXiv:2103.14006). The default spans the best fits to 16 pairs of RealSR at x4,
            one by one (round, before the pixel mean: 0.2 to 0.6, median 0.4). After it comes
            downscaling in linear light: evenly the mean of the HR pixels that an LR pixel covers,
            as on a sensor, or bicubic with antialiasing.
        shot_noise, read_noise: variance `shot_noise * light + read_noise ** 2` of the noise in
            linear light with white at 1, a Poisson plus a Gaussian part (Foi et al., IEEE TIP
            2008), independent in each channel. Both are log-uniform; (0, 0) turns a part off. The
            default ends at a standard deviation of about 4 grey levels of 255 in mid-grey.
        jpeg_quality: libjpeg's, through Pillow, uniform and rounded, evenly with 4:4:4 or 4:2:0
            colours. None: no JPEG and no rounding to 8 bits.

    Errors: InputError when the sizes do not divide, or when a range is not from low to high.
    """
    require_scale("scale", scale)
    check_shrinks(hr, scale)
    ranges = {"blur": blur, "shot_noise": shot_noise, "read_noise": read_noise}
    for name, (low, high) in ranges.items():
        require(name, (low, high), 0 <= low <= high < math.inf, "two numbers from 0, least first")
    low, high = jpeg_quality or (1, 100)
    require("jpeg_quality", (low, high), 1 <= low <= high <= 100, "1 to 100, least first")
    assert generator.device.type == hr.device.type, "generator and images on one device"

    degraded: list[Tensor] = []
    for image in hr.float().clamp(0, 1).split(1):
        light = to_linear(image)
        major = scale * _uniform(blur, generator)
        minor = scale * _uniform(blur, generator)
        minor = major if _flip(generator) else minor
        light = _blurred(light, major, minor, angle=_uniform((0, math.pi), generator))
        if _flip(generator):
            light = F.avg_pool2d(light, scale)
        else:
            size = (hr.shape[2] // scale, hr.shape[3] // scale)
            light = F.interpolate(light, size, mode="bicubic", antialias=True, align_corners=False)
        shot = _log_uniform(shot_noise, generator)
        read = _log_uniform(read_noise, generator)
        light = _noisy(light.clamp(0, 1), shot, read, generator)
        lr = to_srgb(light.clamp(0, 1))
        if jpeg_quality is not None:
            quality = round(_uniform(jpeg_quality, generator))
            lr = libjpeg(lr, quality, subsampled=not _flip(generator))
        degraded.append(lr)
    return torch.cat(degraded)


def _blurred(light: Tensor, major: float, minor: float, angle: float) -> Tensor:
    """Gaussian blur with standard deviations in HR pixels along two axes at right angles, turned by
    `angle`; edges are continued."""
    # A floor far below a pixel, where the kernel is one sample: a deviation of 0 is no blur instead
    # of a division by 0.
    major = max(major, 1e-2)
    minor = max(minor, 1e-2)
    radius = math.ceil(3 * max(major, minor))
    steps = torch.arange(-radius, radius + 1, dtype=light.dtype, device=light.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    kernel = torch.exp(-0.5 * ((along / major) ** 2 + (across / minor) ** 2))
    kernel = (kernel / kernel.sum()).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(light, [radius] * 4, mode="replicate"), kernel, groups=3)


def _noisy(light: Tensor, shot: float, read: float, generator: Generator) -> Tensor:
    """Photons counted 1 / shot at white, plus the noise of reading them out."""
    if shot > 0:
        light = torch.poisson(light / shot, generator=generator) * shot
    return light + read * torch.randn(light.shape, generator=generator, device=light.device)


def _uniform(limits: Range, generator: Generator) -> float:
    low, high = limits
    return low + (high - low) * float(torch.rand((), generator=generator, device=generator.device))


def _log_uniform(limits: Range, generator: Generator) -> float:
    """0 where the greatest is 0. A least of 0, which has no logarithm, counts as a thousandth of
    the greatest."""
    low = limits[0] or limits[1] / 1000
    high = limits[1]
    # Drawn in any case, so that turning a part off leaves the other draws as they are.
    drawn = _uniform((0, 1), generator)
    return high * (low / high) ** (1 - drawn) if high > 0 else 0.0


def _flip(generator: Generator) -> bool:
    return _uniform((0, 1), generator) < 0.5
