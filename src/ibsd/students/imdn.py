"""IMDN: information multi-distillation network (Hui et al., ACM MM 2019, arXiv:1909.11856),
state-dict keys as published."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.layers import spatial_std
from ibsd.students.student import NetworkCard, Student, StudentSpec, check_scale
from ibsd.types import InputError, Scale

SLOPE = 0.05


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class ContrastAwareAttention(nn.Module):
    """Scales channels by a gate computed from their contrast (standard deviation) plus mean over
    the whole image."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.conv_du = nn.Sequential(
            conv(channels, hidden, 1), nn.ReLU(), conv(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv_du(spatial_std(x) + x.mean(dim=(2, 3), keepdim=True))


class DistillationBlock(nn.Module):
    """IMDB: three times a quarter of the channels is kept and the rest refined; attention, fusion,
    residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kept, self.refined = width // 4, width - width // 4
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


class IMDN(Student):
    """IMDN. x2, x3, x4 have 694,404 / 703,059 / 715,176 parameters at the published width 64 with 6
    blocks.

    Args:
        scale: 2, 3 or 4.
        width: channels of every block, a multiple of 4.
        num_blocks: distillation blocks.
        node_blocks: blocks (from 1) whose outputs are F1, F2, ... of the chain; F0 is the first
            convolution's output. Default: at a third, two thirds and the end, which for 6 blocks is
            the published 2, 4, 6.

    Source: Hui et al., ACM MM 2019; nodes as IBSD's published networks place them (docs/method.md
    1).
    """

    name: ClassVar[str] = "imdn"
    card: ClassVar[NetworkCard] = NetworkCard("Hui et al., ACM MM 2019", "github.com/Zheng222/IMDN")

    def __init__(
        self,
        scale: Scale = 4,
        width: int = 64,
        num_blocks: int = 6,
        node_blocks: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        check_scale(scale)
        if width < 4 or width % 4:
            raise InputError(f"imdn: width is {width}; it must be a multiple of 4")
        if num_blocks < 3 and node_blocks is None:
            raise InputError(
                f"imdn: num_blocks is {num_blocks}; a chain of four nodes needs at least 3"
            )
        default = tuple(round(num_blocks * k / 3) for k in (1, 2, 3))
        node_blocks = default if node_blocks is None else tuple(node_blocks)
        if (
            not node_blocks
            or list(node_blocks) != sorted(set(node_blocks))
            or not 1 <= node_blocks[0] <= node_blocks[-1] <= num_blocks
        ):
            raise InputError(
                f"imdn: node_blocks is {list(node_blocks)}; it must rise within 1 to {num_blocks}"
            )
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            num_nodes=1 + len(node_blocks),
            minimum_size_px=1,
            receptive_field_px=1 + 4 * num_blocks + 2,
            pools_globally=True,
            options={"width": width, "num_blocks": num_blocks}
            | ({} if node_blocks == default else {"node_blocks": list(node_blocks)}),
        )
        self.node_blocks = node_blocks
        self.fea_conv = conv(3, width)
        for k in range(1, num_blocks + 1):
            self.add_module(f"IMDB{k}", DistillationBlock(width))
        self.c = nn.Sequential(conv(num_blocks * width, width, 1), nn.LeakyReLU(SLOPE))
        self.LR_conv = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        first = x = self.fea_conv(lr)
        outputs = []
        for k in range(1, self.spec.options["num_blocks"] + 1):
            x = self.get_submodule(f"IMDB{k}")(x)
            outputs.append(x)
        sr = self.upsampler(self.LR_conv(self.c(torch.cat(outputs, dim=1))) + first)
        return sr, (first, *(outputs[k - 1] for k in self.node_blocks)) if keep_nodes else ()

    @staticmethod
    def detect(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any] | None:
        blocks = {
            int(match[1]) for key in shapes if (match := re.match(r"IMDB(\d+)\.c5\.weight$", key))
        }
        first, last = shapes.get("fea_conv.weight"), shapes.get("upsampler.0.weight")
        if not blocks or not first or not last or blocks != set(range(1, len(blocks) + 1)):
            return None
        return {"scale": round((last[0] / 3) ** 0.5), "width": first[0], "num_blocks": len(blocks)}
