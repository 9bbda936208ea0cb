"""IMDN: information multi-distillation network (Hui et al., ACM MM 2019, arXiv:1909.11856),
state-dict keys as published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.layers import (
    ChannelGate,
    check_width,
    count_blocks,
    scale_and_width,
    spatial_std,
    thirds,
)
from ibsd.students.student import NetworkCard, Shapes, Student, StudentSpec
from ibsd.types import InputError, Scale

SLOPE = 0.05


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class ContrastAwareAttention(ChannelGate):
    """Scales channels by a gate computed from their contrast (standard deviation) plus mean over
    the whole image."""

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv_du(spatial_std(x) + x.mean(dim=(2, 3), keepdim=True))


class DistillationBlock(nn.Module):
    """IMDB: three times a quarter of the channels is kept and the rest refined; attention, fusion,
    residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kept = width // 4
        self.refined = width - width // 4
        self.c1 = conv(width, width)
        self.c2 = conv(self.refined, width)
        self.c3 = conv(self.refined, width)
        self.c4 = conv(self.refined, self.kept)
        self.cca = ContrastAwareAttention(4 * self.kept)
        self.c5 = conv(4 * self.kept, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        split = (self.kept, self.refined)
        kept1, rest = F.leaky_relu(self.c1(x), SLOPE).split(split, dim=1)
        kept2, rest = F.leaky_relu(self.c2(rest), SLOPE).split(split, dim=1)
        kept3, rest = F.leaky_relu(self.c3(rest), SLOPE).split(split, dim=1)
        return self.c5(self.cca(torch.cat((kept1, kept2, kept3, self.c4(rest)), dim=1))) + x


class DistillationNetwork(Student):
    """What IMDN and RFDN have in common: a first convolution, blocks one after the other, their
    joined outputs fused, the first convolution's output added, an upsampler.

    At scale 1 it adds the input, and a fresh one changes nothing: it learns what to repair (Zhang
    et al., IEEE TIP 2017, arXiv:1608.03981)."""

    block_key: ClassVar[str]
    """Blocks are called this and their number, from 1."""
    order: Sequence[int]
    """Number of the block that runs in each place."""
    node_blocks: tuple[int, ...]
    """Places, from 1, whose outputs are F1, F2, ..."""

    def build(self, blocks: Iterable[nn.Module], order: Sequence[int]) -> None:
        """Adds all modules. `spec` is set already."""
        width = self.spec.channels
        scale = self.spec.scale
        self.order = order
        self.fea_conv = conv(3, width)
        for k, block in enumerate(blocks, start=1):
            self.add_module(f"{self.block_key}{k}", block)
        self.c = nn.Sequential(conv(len(order) * width, width, 1), nn.LeakyReLU(SLOPE))
        self.LR_conv = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))
        if scale == 1:
            for parameter in self.upsampler.parameters():
                nn.init.zeros_(parameter)

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        first = x = self.fea_conv(lr)
        outputs: list[Tensor] = []
        for k in self.order:
            x = self.get_submodule(f"{self.block_key}{k}")(x)
            outputs.append(x)
        sr = self.upsampler(self.LR_conv(self.c(torch.cat(outputs, dim=1))) + first)
        if self.spec.scale == 1:
            sr = sr + lr
        return sr, (first, *(outputs[k - 1] for k in self.node_blocks)) if keep_nodes else ()


class IMDN(DistillationNetwork):
    """IMDN. x2, x3, x4 have 694,404 / 703,059 / 715,176 parameters at the published width 64 with 6
    blocks.

    Args:
        scale: 1 to 4.
        width: channels of every block, a multiple of 4.
        num_blocks: distillation blocks.
        node_blocks: blocks (from 1) whose outputs are F1, F2, ... of the chain; F0 is the first
            convolution's output. Default: at a third, two thirds and the end, which for 6 blocks is
            the published 2, 4, 6.

    Source: Hui et al., ACM MM 2019; nodes as IBSD's published networks place them (docs/method.md
    1).
    """

    name: ClassVar[str] = "imdn"
    block_key: ClassVar[str] = "IMDB"
    card: ClassVar[NetworkCard] = NetworkCard("Hui et al., ACM MM 2019", "github.com/Zheng222/IMDN")

    def __init__(
        self,
        scale: Scale = 4,
        width: int = 64,
        num_blocks: int = 6,
        node_blocks: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        check_width(self.name, width, 4)
        if node_blocks is None:
            node_blocks = thirds(self.name, num_blocks)
        node_blocks = tuple(node_blocks)
        stated = num_blocks < 3 or node_blocks != thirds(self.name, num_blocks)
        rise = list(node_blocks) == sorted(set(node_blocks))
        if not node_blocks or not rise or not 1 <= node_blocks[0] <= node_blocks[-1] <= num_blocks:
            raise InputError(
                f"imdn: node_blocks is {list(node_blocks)}; it must rise within 1 to {num_blocks}"
            )
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            num_nodes=1 + len(node_blocks),
            receptive_field_px=1 + 4 * num_blocks + 2,
            pools_globally=True,
            options={"width": width, "num_blocks": num_blocks}
            | ({"node_blocks": list(node_blocks)} if stated else {}),
        )
        self.node_blocks = node_blocks
        self.build((DistillationBlock(width) for _ in range(num_blocks)), range(1, num_blocks + 1))

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        options = scale_and_width(shapes)
        num_blocks = count_blocks(shapes, r"IMDB(\d+)\.c5\.weight$", first=1)
        return options | {"num_blocks": num_blocks} if options and num_blocks else None
