"""Does an upscaler draw the same when what it is shown moves by a part of a pixel? What does not
move with the picture belongs to the output's grid."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

TAPS = 4
"""Pixels to either side that a shift looks at."""


def shifted(images: Tensor, down: float, right: float) -> Tensor:
    """[N, C, H, W]: sampled `down` and `right` of each pixel, both in [0, 1), by Lanczos' kernel
    over 8 pixels; edges repeat."""
    padding = [TAPS - 1, TAPS, TAPS - 1, TAPS]
    channels = images.shape[1]
    rows, columns = (lanczos(part).to(images) for part in (down, right))
    x = F.pad(images, padding, mode="replicate")
    x = F.conv2d(x, rows.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(x, columns.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)


def lanczos(part: float) -> Tensor:
    """Weights of the pixels from -3 to 4 for what lies `part` after pixel 0; their sum is 1."""
    distance = torch.arange(1 - TAPS, TAPS + 1) - part
    weight = torch.sinc(distance) * torch.sinc(distance / TAPS)
    return weight / weight.sum()


def shift_distance(
    upscale: Callable[[Tensor], Tensor], lr: Tensor, sr: Tensor, down: int, right: int
) -> Tensor:
    """Mean |SR - SR'|, a scalar: SR' is what `upscale` makes of LR sampled `down` and `right` SR
    pixels further, laid over SR. A border that only one of them sees is left out.

    lr: [N, 3, h, w]; sr: [N, 3, s h, s w], `upscale(lr)`; down and right: 0 to s - 1. A gradient
    flows to `sr` alone: over all shifts, SR' has a pattern of the grid at every place, and its mean
    has none. Ours.
    """
    scale = sr.shape[-1] // lr.shape[-1]
    with torch.no_grad():
        other = upscale(shifted(lr, down / scale, right / scale)).to(sr.dtype)
    border = TAPS * scale
    height, width = (side - 2 * border for side in sr.shape[-2:])
    ours = sr[..., border + down : border + down + height, border + right : border + right + width]
    theirs = other[..., border : border + height, border : border + width]
    return (ours - theirs).abs().mean()
