"""LR pictures made from HR, batched and seeded on the device: each image draws its own strengths.

    first stage:    early halo -> [blur, downscaling, noise] in linear light -> grain, smear, halo
                    -> JPEG, as light, sensor and camera do it
    second stage:   blur, noise, halo, resizing down and up in random order -> JPEG
                    as a web site or a scan does, if the preset has one

One `strength` scales a preset: 1 is the preset as it is, 0 a clean downscaling. Two stages of
shuffled steps follow BSRGAN (Zhang et al., ICCV 2021, arXiv:2103.14006) and Real-ESRGAN (Wang et
al., ICCVW 2021, arXiv:2107.10833). The ranges are ours: `data/presets.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ibsd.data.blur import BLURS, RESAMPLERS, SUPPORT, blur_kernels, resampling_weights, shrunk
from ibsd.data.jpeg import libjpeg, smooth_jpeg
from ibsd.data.linear_light import to_linear, to_srgb
from ibsd.types import InputError, Scale, require

Range: TypeAlias = tuple[float, float]
"""Least and greatest value of what is drawn uniformly between them."""

Jpeg: TypeAlias = Literal["libjpeg", "smooth"]

EARLY_HALO_RADIUS: Range = (0.2, 0.6)
"""Standard deviation of `Stage.early_halo` in LR pixels: about 1 to 2 HR pixels at x4."""
SMEAR_RADIUS: Range = (0.7, 1.5)
"""Standard deviation of the surroundings of `Stage.smear`, in LR pixels."""


@dataclass(frozen=True)
class Stage:
    """Ranges of what happens to a picture in one stage. Each image draws its own value of each
    (least, greatest), uniformly."""

    blur: Range = (0.0, 0.0)
    """Standard deviation in LR pixels, in linear light."""
    shapes: tuple[str, ...] = BLURS
    resamplers: tuple[str, ...] = RESAMPLERS
    phase: float = 0.0
    """Greatest misregistration of the LR grid along an axis, in LR pixels."""
    shot_noise: float = 0.0
    """Greatest variance over light, white at 1. Its square root is uniform from 0."""
    read_noise: float = 0.0
    """Greatest standard deviation, white at 1; uniform from 0."""
    white_balance: Range = (1.0, 1.0)
    """Gains of red and blue over green, applied after the noise."""
    halo: float = 0.0
    """Greatest amount of unsharp masking."""
    halo_radius: Range = (0.6, 1.5)
    """Standard deviation of the blur that unsharp masking subtracts, in LR pixels."""
    early_halo: float = 0.0
    """Greatest amount of unsharp masking before downscaling, as of a photograph that was shrunk
    after its camera had sharpened it. First stage only, as `grain` and `smear`."""
    grain: float = 0.0
    """Greatest standard deviation of Gaussian noise in sRGB, white at 1; its root is uniform from
    0, so that much of it is weak."""
    smear: float = 0.0
    """Greatest contrast to its surroundings that noise reduction takes away, white at 1."""
    jpeg: tuple[int, int] | None = None
    """Least and greatest quality of libjpeg; None for no JPEG and no rounding to 8 bits."""
    jpeg_share: float = 1.0
    """Share of images that are compressed."""
    resized: float = 1.0
    """Least factor of resizing down and up again, in a second stage."""


@dataclass(frozen=True)
class Preset:
    """One or two stages. The second works at the size of LR, in random order."""

    first: Stage
    second: Stage | None = None
    source: str = ""
    """Where its ranges come from."""


@torch.no_grad()
def softened(hr: Tensor, softness: Range, generator: Generator) -> Tensor:
    """hr [N, 3, H, W] blurred by a Gaussian. Each image draws its standard deviation in HR pixels,
    uniformly from `softness`."""
    if softness == (0.0, 0.0):
        return hr
    sigma = _Draw(len(hr), generator).per_image(*softness).clamp(min=1e-2)
    radius = int(3 * softness[1] + 1)
    steps = torch.arange(-radius, radius + 1, dtype=hr.dtype, device=hr.device)
    weight = torch.exp(-0.5 * (steps / sigma.view(-1, 1)).square())
    weight = (weight / weight.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)[:, None]
    flat = F.pad(hr, [radius] * 4, mode="replicate").flatten(0, 1).unsqueeze(0)
    # Along columns, then along rows, because HR is large.
    flat = F.conv2d(flat, weight.unsqueeze(3), groups=len(weight))
    return F.conv2d(flat, weight.unsqueeze(2), groups=len(weight)).view_as(hr)


@torch.no_grad()
def degrade(
    hr: Tensor,
    scale: Scale,
    preset: Preset,
    generator: Generator,
    strength: float = 1.0,
    jpeg: Jpeg = "libjpeg",
) -> Tensor:
    """hr [N, 3, H, W] in [0, 1], H and W multiples of `scale` -> lr [N, 3, H / scale, W / scale] in
    [0, 1]; no gradient.

    Shape of the blur, resampler and order of steps are drawn once a batch, strengths by each image
    for itself. The same state of `generator` (on the device of `hr`) gives the same result.

    Args:
        strength: 0 or more; scales blur, phase, noise, halo, loss by resizing, and how far JPEG's
            quality is from 100.
        jpeg: `libjpeg` through the host, or `smooth`, in tensors on the device.

    Errors: InputError when the sizes do not divide, or for a negative strength.
    """
    check_shrinks(hr, scale)
    require("strength", strength, strength >= 0, "0 or more")
    draw = _Draw(len(hr), generator)
    first = preset.first
    second = preset.second
    hr = hr.clamp(0, 1)
    hr = _sharpened(hr, first.early_halo, EARLY_HALO_RADIUS, draw, strength, scale)
    light = _blurred_and_shrunk(to_linear(hr), scale, first, draw, strength)
    light = _noisy(light.clamp(0, 1), first, draw, strength)
    lr = _grained(to_srgb(light.clamp(0, 1)), first, draw, strength)
    lr = _smeared(lr, first, draw, strength)
    lr = _sharpened(lr, first.halo, first.halo_radius, draw, strength)
    lr = _compressed(lr, first, draw, strength, jpeg)
    if second is None:
        return lr
    steps: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: to_srgb(_blurred_and_shrunk(to_linear(x), 1, second, draw, strength).clamp(0, 1)),
        lambda x: to_srgb(_noisy(to_linear(x), second, draw, strength).clamp(0, 1)),
        lambda x: _sharpened(x, second.halo, second.halo_radius, draw, strength),
        lambda x: _resized_down_and_up(x, second, draw, strength),
    )
    for k in draw.permutation(len(steps)):
        lr = steps[k](lr)
    return _compressed(lr, second, draw, strength, jpeg)


def check_shrinks(hr: Tensor, scale: Scale) -> None:
    """InputError unless `hr` is [N, 3, H, W] with H and W multiples of `scale`."""
    if (
        hr.ndim != 4
        or hr.shape[1] != 3
        or any(side % scale for side in hr.shape[2:])
        or not hr.numel()
    ):
        raise InputError(
            f"HR of shape {list(hr.shape)} cannot shrink by {scale}: "
            f"pass [N, 3, H, W] with H and W multiples of {scale}"
        )


class _Draw:
    """Random parameters: a number for each image of a batch, or one for all."""

    def __init__(self, count: int, generator: Generator) -> None:
        self.count = count
        self.generator = generator
        self.device = generator.device

    def per_image(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """[count], uniform."""
        return low + (high - low) * torch.rand(
            self.count, generator=self.generator, device=self.device
        )

    def index(self, number: int) -> int:
        return int(torch.randint(number, (), generator=self.generator, device=self.device))

    def permutation(self, number: int) -> list[int]:
        return torch.randperm(number, generator=self.generator, device=self.device).tolist()


def _blurred_and_shrunk(
    light: Tensor, scale: int, stage: Stage, draw: _Draw, strength: float
) -> Tensor:
    shape = stage.shapes[draw.index(len(stage.shapes))]
    resampler = stage.resamplers[draw.index(len(stage.resamplers))] if scale > 1 else "area"
    sigma = strength * scale * draw.per_image(*stage.blur)
    radius = int(3 * strength * scale * stage.blur[1] + 1)
    blurs = blur_kernels(
        shape,
        sigma,
        draw.per_image(0.4, 1.0),
        draw.per_image(0, torch.pi),
        draw.per_image(1.0, 4.0),
        radius,
    )
    offset = strength * scale * stage.phase
    reach = int(SUPPORT[resampler] * scale + offset + 1)
    rows, columns = (
        resampling_weights(resampler, scale, draw.per_image(-offset, offset), reach)
        for _ in range(2)
    )
    return shrunk(light, blurs, rows, columns, scale)


def _noisy(light: Tensor, stage: Stage, draw: _Draw, strength: float) -> Tensor:
    """A Poisson and a Gaussian part (Foi et al., IEEE TIP 2008). The white balance comes later and
    raises red and blue with their noise.

    The Poisson part is its normal limit of the same variance: photons are many wherever the noise
    can be seen.
    """
    if stage.shot_noise == stage.read_noise == 0:
        return light
    red = draw.per_image(*stage.white_balance)
    blue = draw.per_image(*stage.white_balance)
    gains = torch.stack([red, torch.ones_like(red), blue], 1)[:, :, None, None]
    shot = (strength**2 * stage.shot_noise * draw.per_image() ** 2).view(-1, 1, 1, 1)
    read = (strength * stage.read_noise * draw.per_image()).view(-1, 1, 1, 1)
    raw = light / gains
    noise = torch.randn(light.shape, generator=draw.generator, device=draw.device)
    return (raw + (shot * raw + read**2).sqrt() * noise) * gains


def _grained(srgb: Tensor, stage: Stage, draw: _Draw, strength: float) -> Tensor:
    """Noise that is equal in light and dark, as of a scan or of a picture edited since."""
    if stage.grain == 0:
        return srgb
    sigma = (strength * stage.grain * draw.per_image() ** 2).view(-1, 1, 1, 1)
    noise = torch.randn(srgb.shape, generator=draw.generator, device=draw.device)
    return (srgb + sigma * noise).clamp(0, 1)


def _smeared(srgb: Tensor, stage: Stage, draw: _Draw, strength: float) -> Tensor:
    """Noise reduction: each pixel comes nearer to its surroundings by the threshold. Weak texture
    goes with the noise, edges stay."""
    if stage.smear == 0:
        return srgb
    threshold = (strength * stage.smear * draw.per_image()).view(-1, 1, 1, 1)
    detail = srgb - _softened_by(SMEAR_RADIUS, srgb, draw)
    return srgb - detail.clamp(-threshold, threshold)


def _sharpened(
    srgb: Tensor, halo: float, radius: Range, draw: _Draw, strength: float, scale: int = 1
) -> Tensor:
    """Unsharp masking: it leaves halos beside edges. `radius` in pixels of `srgb` over `scale`."""
    if halo == 0:
        return srgb
    amount = (strength * halo * draw.per_image()).view(-1, 1, 1, 1)
    soft = _softened_by((radius[0] * scale, radius[1] * scale), srgb, draw)
    return (srgb + amount * (srgb - soft)).clamp(0, 1)


def _softened_by(sigma: Range, images: Tensor, draw: _Draw) -> Tensor:
    """Each image blurred by a Gaussian of its own, of a standard deviation in pixels."""
    ones = torch.ones(draw.count, device=draw.device)
    radius = int(2.5 * sigma[1] + 1)
    kernels = blur_kernels("gaussian", draw.per_image(*sigma), ones, ones, ones, radius)
    return _convolved(images, kernels)


def _convolved(images: Tensor, kernels: Tensor) -> Tensor:
    """Each image with its own kernel."""
    one = torch.ones(len(images), 1, dtype=images.dtype, device=images.device)
    return shrunk(images, kernels, one, one, 1)


def _resized_down_and_up(lr: Tensor, stage: Stage, draw: _Draw, strength: float) -> Tensor:
    """Made smaller by a factor for the whole batch, and enlarged again."""
    least = 1 - min(1.0, strength) * (1 - stage.resized)
    factor = least + (1 - least) * float(draw.per_image()[0])
    size = [max(1, round(side * factor)) for side in lr.shape[-2:]]
    mode = ("bilinear", "bicubic")[draw.index(2)]

    def resized(image: Tensor, to: list[int]) -> Tensor:
        return F.interpolate(image, to, mode=mode, antialias=True, align_corners=False)

    return resized(resized(lr, size), [*lr.shape[-2:]]).clamp(0, 1)


def _compressed(lr: Tensor, stage: Stage, draw: _Draw, strength: float, jpeg: Jpeg) -> Tensor:
    """JPEG for a share of the batch, and rounding to 8 bits for all; nothing where the stage has no
    JPEG."""
    if stage.jpeg is None:
        return lr
    low, high = (100 - min(1.0, strength) * (100 - quality) for quality in stage.jpeg)
    quality = draw.per_image(low, high).round()
    compressed = draw.per_image() < stage.jpeg_share
    subsampled = draw.index(2) == 1
    if jpeg == "smooth":
        decoded = smooth_jpeg(lr, quality, subsampled)
    else:
        images = zip(lr.split(1), quality.tolist(), strict=True)
        decoded = torch.cat([libjpeg(image, int(level), subsampled) for image, level in images])
    return (torch.where(compressed.view(-1, 1, 1, 1), decoded, lr) * 255).round() / 255
