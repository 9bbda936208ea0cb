"""Parts that several networks share: where a chain's nodes stand, checks, what the shapes of a
state dict tell, padding, gates of channels and of pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.types import InputError, require

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor of a state dict, by its key."""


def thirds(network: str, num_blocks: int) -> tuple[int, int, int]:
    """Blocks, counted from 1, at a third, two thirds and the end: 6 -> (2, 4, 6), 5 -> (2, 3, 5), 4
    -> (1, 3, 4).

    Errors: InputError for fewer than three blocks, since F1, F2 and F3 need one each.
    """
    if num_blocks < 3:
        raise InputError(
            f"{network}: num_blocks is {num_blocks}; a chain of four nodes needs at least 3"
        )
    return round(num_blocks / 3), round(num_blocks * 2 / 3), num_blocks


def check_width(network: str, width: int, multiple: int) -> None:
    """InputError unless `width` is a positive multiple of `multiple`."""
    fits = width >= multiple and width % multiple == 0
    require(f"{network}: width", width, fits, f"a multiple of {multiple}")


def count_blocks(shapes: Shapes, pattern: str, first: int = 0) -> int:
    """How many numbered blocks a state dict has. `pattern` matches one key of each block, and its
    group is the number. 0 unless the numbers run from `first` without a gap."""
    numbers = {int(match[1]) for key in shapes if (match := re.match(pattern, key))}
    return len(numbers) if numbers == set(range(first, first + len(numbers))) else 0


def scale_and_width(
    shapes: Shapes, first: str = "fea_conv.weight", last: str = "upsampler.0.weight"
) -> dict[str, int] | None:
    """What the shapes of the first convolution and of the one before the pixel shuffle tell; None
    where a state dict lacks either key."""
    if not shapes.get(first) or not shapes.get(last):
        return None
    return {"scale": round((shapes[last][0] / 3) ** 0.5), "width": shapes[first][0]}


def pad_to(
    x: Tensor,
    *,
    multiple: int = 1,
    minimum_px: int = 1,
    mode: Literal["constant", "replicate"] = "replicate",
) -> Tensor:
    """[N, C, H, W] padded at the bottom and right: to multiples of `multiple` by `mode` ("constant"
    is zeros), then to at least `minimum_px` on both sides by replication.

    An input that is large enough comes back as it is where `multiple` is 1. The NumPy counterpart
    for exported networks is in `inference/`.
    """
    if multiple > 1:
        height, width = x.shape[-2:]
        bottom = (height + multiple - 1) // multiple * multiple - height
        right = (width + multiple - 1) // multiple * multiple - width
        x = F.pad(x, (0, right, 0, bottom), mode=mode)
    if minimum_px > 1:
        height, width = x.shape[-2:]
        if height < minimum_px or width < minimum_px:
            right = max(0, minimum_px - width)
            bottom = max(0, minimum_px - height)
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
    return x


def spatial_std(x: Tensor) -> Tensor:
    """Population standard deviation of each channel over the image, [N, C, H, W] -> [N, C, 1, 1],
    with gradient 0 where it is 0.

    The square root's gradient is infinite at 0; a flat or single-pixel image would otherwise turn
    the whole step into NaN. Half-precision inputs are summed in fp32.
    """
    exact = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    variance = exact.var(dim=(2, 3), keepdim=True, correction=0)
    positive = variance > 0
    return torch.where(positive, torch.where(positive, variance, 1.0).sqrt(), 0.0).to(x.dtype)


class ChannelGate(nn.Module):
    """Scales channels by a gate computed from their means over the whole image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(1, width // 16)
        self.conv_du = nn.Sequential(
            nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv_du(x.mean(dim=(2, 3), keepdim=True))


SMALLEST_PX = 15
"""What the strided convolution and the 7x7 pool need to leave one pixel."""

EXPORTED_SMALLEST_PX = 21
"""What they need to leave two: torch.export treats a size of one as a case of its own."""


class EnhancedSpatialAttention(nn.Module):
    """Multiplies [N, C, H, W] by a gate of the same shape.

    A map smaller than 15 pixels, at which the published module fails, is continued by replication
    for the gate's low-resolution branch.

    Args:
        width: C.
        hidden: channels inside.
        deep: with the two further convolutions and the ReLUs of the original; without, as later
            networks use it (RLFN: Kong et al., CVPRW 2022, arXiv:2205.07514; Omni-SR).
    """

    def __init__(self, width: int, hidden: int, deep: bool) -> None:
        super().__init__()
        self.deep = deep
        self.conv1 = nn.Conv2d(width, hidden, 1)
        self.conv_f = nn.Conv2d(hidden, hidden, 1)
        if deep:
            self.conv_max = nn.Conv2d(hidden, hidden, 3, padding=1)
            self.conv3_ = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride=2)
        self.conv3 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv4 = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.conv1(x)
        height, width = reduced.shape[-2:]
        grown = pad_to(reduced, minimum_px=SMALLEST_PX)
        low = F.max_pool2d(self.conv2(grown), 7, 3)
        if self.deep:
            low = self.conv3_(F.relu(self.conv3(F.relu(self.conv_max(low)))))
        else:
            low = self.conv3(low)
        high = F.interpolate(low, grown.shape[-2:], mode="bilinear", align_corners=False)
        inside = high[..., :height, :width]
        return x * self.conv4(inside + self.conv_f(reduced)).sigmoid()
