"""ShuffleMixer: large depthwise kernels, channel splitting and shuffling (Sun et al., NeurIPS
2022, arXiv:2205.15175), state-dict keys as published."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.layers import check_width, count_blocks, thirds
from ibsd.students.student import NetworkCard, Shapes, Student, StudentSpec
from ibsd.types import Scale, require

GROUPS = 8


class ChannelNorm(nn.Module):
    """[N, C, H, W]: mean 0 and variance 1 over the channels of each pixel, times a weight per
    channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.LayerNorm(width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SplitMixing(nn.Module):
    """Two pointwise convolutions on half the channels, then a shuffle that mixes both halves."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.fc = nn.Sequential(
            nn.Conv2d(half, 2 * half, 1), nn.SiLU(), nn.Conv2d(2 * half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, rest = x.chunk(2, dim=1)
        both = torch.cat((self.fc(first), rest), dim=1)
        return both.unflatten(1, (GROUPS, -1)).transpose(1, 2).flatten(1, 2)


class ShuffleLayer(nn.Module):
    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(width)
        self.norm2 = ChannelNorm(width)
        self.spatial = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.mlp1 = SplitMixing(width)
        self.mlp2 = SplitMixing(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.spatial(self.mlp1(self.norm1(x)) + x)
        return self.mlp2(self.norm2(x)) + x


class MixingBlock(nn.Module):
    """Two shuffle layers and a fused inverted bottleneck, each with its residual."""

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.net = nn.Sequential(ShuffleLayer(width, kernel_size), ShuffleLayer(width, kernel_size))
        self.conv = nn.Sequential(
            nn.Conv2d(width, width + 16, 3, padding=1), nn.SiLU(), nn.Conv2d(width + 16, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.net(x) + x
        return self.conv(x) + x


class ShuffleMixer(Student):
    """ShuffleMixer. The paper's base network is width 64, kernel 7; its tiny one width 32, kernel
    3; both have 5 blocks.

    Args:
        scale: 1 to 4.
        width: channels, a multiple of 16 (two halves, eight groups).
        kernel_size: of the depthwise convolutions, odd.
        num_blocks: mixing blocks.

    Nodes: first convolution, and the blocks at a third, two thirds and the end (of 5: 2, 3 and 5);
    ours.
    """

    name: ClassVar[str] = "shufflemixer"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Sun et al., NeurIPS 2022", "github.com/sunny2109/ShuffleMixer"
    )

    def __init__(
        self, scale: Scale = 4, width: int = 64, kernel_size: int = 7, num_blocks: int = 5
    ) -> None:
        super().__init__()
        check_width(self.name, width, 2 * GROUPS)
        is_odd = kernel_size >= 1 and kernel_size % 2 == 1
        require("shufflemixer: kernel_size", kernel_size, is_odd, "odd")
        self.node_blocks = thirds(self.name, num_blocks)
        steps = (2, 2) if scale == 4 else (scale,)
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            receptive_field_px=1 + (2 * (kernel_size // 2) + 1) * num_blocks + 1,
            pools_globally=False,
            cut="upsapling",
            options={"width": width, "kernel_size": kernel_size, "num_blocks": num_blocks},
        )
        self.to_feat = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*(MixingBlock(width, kernel_size) for _ in range(num_blocks)))
        enlarge = [
            (nn.Conv2d(width, width * step**2, 1), nn.PixelShuffle(step), nn.SiLU())
            for step in steps
        ]
        self.upsapling = nn.Sequential(*(part for parts in enlarge for part in parts))
        self.tail = nn.Conv2d(width, 3, 3, padding=1)

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        first = x = self.to_feat(lr)
        outputs: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        base = F.interpolate(
            lr, scale_factor=float(self.spec.scale), mode="bilinear", align_corners=False
        )
        sr = self.tail(self.upsapling(x)) + base
        return sr, (first, *(outputs[k - 1] for k in self.node_blocks)) if keep_nodes else ()

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        num_blocks = count_blocks(shapes, r"blocks\.(\d+)\.net\.0\.spatial\.weight$")
        enlarged = shapes.get("upsapling.0.weight")
        kernel = shapes.get("blocks.0.net.0.spatial.weight")
        if not enlarged or not kernel or not num_blocks:
            return None
        scale = 4 if "upsapling.3.weight" in shapes else round((enlarged[0] / enlarged[1]) ** 0.5)
        return {
            "scale": scale,
            "width": kernel[0],
            "kernel_size": kernel[-1],
            "num_blocks": num_blocks,
        }
