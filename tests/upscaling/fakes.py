"""Small students for tests."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Nearest(nn.Module):
    """Repeats every pixel, so that the result is known; remembers the mode it ran in and the sizes
    it saw."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.spec = SimpleNamespace(scale=scale)
        self.sizes: list[tuple[int, ...]] = []
        self.modes: set[bool] = set()

    def forward(self, lr: Tensor) -> Tensor:
        self.sizes.append(tuple(lr.shape[-2:]))
        self.modes.add(self.training or lr.requires_grad or torch.is_grad_enabled())
        return F.interpolate(lr, scale_factor=self.spec.scale, mode="nearest")


class Convolutions(nn.Module):
    """`depth` 3x3 convolutions with random weights and a pixel shuffle: reaches `depth` LR pixels
    far."""

    def __init__(self, scale: int = 2, depth: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.spec = SimpleNamespace(scale=scale)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(3 if k == 0 else 8, 8, 3, padding=1), nn.Tanh())
                for k in range(depth - 1)
            )
        )
        self.last = nn.Sequential(
            nn.Conv2d(8 if depth > 1 else 3, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def forward(self, lr: Tensor) -> Tensor:
        return self.last(self.body(lr))
