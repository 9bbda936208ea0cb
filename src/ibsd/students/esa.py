"""ESA: enhanced spatial attention (Liu et al., ECCV Workshops 2020), a gate per pixel computed at a sixth of the resolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.padding import pad_to_side

SMALLEST_PX = 15
"""What the strided convolution and the 7x7 pool need to leave one pixel."""

EXPORTED_SMALLEST_PX = 21
"""What they need to leave two: torch.export tells sizes of one from all others."""


class EnhancedSpatialAttention(nn.Module):
    """Multiplies [N, C, H, W] by a gate of the same shape.

    A map smaller than 15 pixels, at which the published module fails, is continued by replication for the gate's low-resolution branch.

    Args:
        width: C.
        hidden: channels inside.
        deep: with the two further convolutions and the ReLUs of the original; without, as later networks use it (RLFN, Omni-SR).
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
        grown = pad_to_side(reduced, SMALLEST_PX)
        low = F.max_pool2d(self.conv2(grown), 7, 3)
        low = self.conv3_(F.relu(self.conv3(F.relu(self.conv_max(low))))) if self.deep else self.conv3(low)
        high = F.interpolate(low, grown.shape[-2:], mode="bilinear", align_corners=False)[..., :height, :width]
        return x * self.conv4(high + self.conv_f(reduced)).sigmoid()
