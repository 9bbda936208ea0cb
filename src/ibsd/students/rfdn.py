"""RFDN: residual feature distillation network (Liu et al., ECCVW 2020, arXiv:2009.11551),
state-dict keys as published.

`RFDN` is the network that IBSD published, with contrast-aware attention; `RFDNAIM` the one that its
authors entered in the AIM 2020 challenge, with enhanced spatial attention (ESA).
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.imdn import SLOPE, ContrastAwareAttention, conv
from ibsd.students.layers import EXPORTED_SMALLEST_PX, EnhancedSpatialAttention, check_width, thirds
from ibsd.students.student import NetworkCard, Student, StudentSpec, check_scale
from ibsd.types import Scale

RUN = (1, 2, 3, 4, 4, 4)
"""Which block runs in each place. Blocks 5 and 6 are in the published files and never run."""


class ResidualDistillationBlock(nn.Module):
    """RFDB: three times half the channels are distilled by a 1x1 convolution and the rest refined
    residually; fusion, attention."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.c1_d, self.c1_r = conv(width, width // 2, 1), conv(width, width)
        self.c2_d, self.c2_r = conv(width, width // 2, 1), conv(width, width)
        self.c3_d, self.c3_r = conv(width, width // 2, 1), conv(width, width)
        self.c4 = conv(width, width // 2)
        self.c5 = conv(4 * (width // 2), width, 1)
        self.esa = attention

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for distil, refine in (
            (self.c1_d, self.c1_r),
            (self.c2_d, self.c2_r),
            (self.c3_d, self.c3_r),
        ):
            kept.append(F.leaky_relu(distil(x), SLOPE))
            x = F.leaky_relu(refine(x) + x, SLOPE)
        return self.esa(self.c5(torch.cat((*kept, F.leaky_relu(self.c4(x), SLOPE)), dim=1)))


class RFDN(Student):
    """RFDN of IBSD. 544,386 parameters in the state dict at x4; 162,534 of them, in blocks 5 and 6,
    never run.

    Args:
        scale: 2, 3 or 4.
        width: channels of every block, a multiple of 2.

    Source: Zhu, Chen, Liu, IEEE TCSVT 2024, whose published network runs block 4 three times and
    has contrast-aware attention where the original has ESA. Nodes: first convolution and the
    outputs in places 2, 4 and 6 (docs/method.md 1). `rfdn-aim` is the original.
    """

    name: ClassVar[str] = "rfdn"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Liu et al., ECCVW 2020; Zhu et al., TCSVT 2024", "the authors of IBSD"
    )

    def __init__(self, scale: Scale = 4, width: int = 48) -> None:
        super().__init__()
        check_scale(scale)
        check_width(self.name, width, 2)
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            num_nodes=4,
            minimum_size_px=1,
            receptive_field_px=1 + 4 * len(RUN) + 2,
            pools_globally=True,
            options={"width": width},
        )
        self.fea_conv = conv(3, width)
        for k in range(1, len(RUN) + 1):
            self.add_module(
                f"B{k}", ResidualDistillationBlock(width, ContrastAwareAttention(width))
            )
        self.c = nn.Sequential(conv(len(RUN) * width, width, 1), nn.LeakyReLU(SLOPE))
        self.LR_conv = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        first = x = self.fea_conv(lr)
        outputs = []
        for block in RUN:
            x = self.get_submodule(f"B{block}")(x)
            outputs.append(x)
        sr = self.upsampler(self.LR_conv(self.c(torch.cat(outputs, dim=1))) + first)
        return sr, (first, outputs[1], outputs[3], outputs[5]) if keep_nodes else ()

    @staticmethod
    def detect(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any] | None:
        first, last = shapes.get("fea_conv.weight"), shapes.get("upsampler.0.weight")
        if not first or not last or "B1.esa.conv_du.0.weight" not in shapes:
            return None
        return {"scale": round((last[0] / 3) ** 0.5), "width": first[0]}


class RFDNAIM(Student):
    """The original RFDN. x4 has 433,448 parameters at the challenge's width 50 with 4 blocks.

    Args:
        scale: 2, 3 or 4.
        width: channels of every block, a multiple of 2.
        num_blocks: distillation blocks; the paper's own tables are of width 48 with 6.

    Nodes: first convolution, and the blocks at a third, two thirds and the end (of 4: 1, 3 and 4);
    ours, as IBSD published none for it.
    The gates see about 30 pixels far each, on a grid that depends on the size of the image: tiles
    never equal the whole exactly.
    """

    name: ClassVar[str] = "rfdn-aim"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Liu et al., ECCVW 2020", "github.com/njulj/RFDN", exported_minimum_px=EXPORTED_SMALLEST_PX
    )

    def __init__(self, scale: Scale = 4, width: int = 50, num_blocks: int = 4) -> None:
        super().__init__()
        check_scale(scale)
        check_width(self.name, width, 2)
        self.node_blocks = thirds(self.name, num_blocks)
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            num_nodes=4,
            minimum_size_px=1,
            receptive_field_px=1 + 4 * num_blocks + 2,  # beside the gates, which look much further
            pools_globally=True,
            options={"width": width, "num_blocks": num_blocks},
        )
        self.fea_conv = conv(3, width)
        for k in range(1, num_blocks + 1):
            attention = EnhancedSpatialAttention(width, max(1, width // 4), deep=True)
            self.add_module(f"B{k}", ResidualDistillationBlock(width, attention))
        self.c = nn.Sequential(conv(num_blocks * width, width, 1), nn.LeakyReLU(SLOPE))
        self.LR_conv = conv(width, width)
        self.upsampler = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        first = x = self.fea_conv(lr)
        outputs = []
        for k in range(1, self.spec.options["num_blocks"] + 1):
            x = self.get_submodule(f"B{k}")(x)
            outputs.append(x)
        sr = self.upsampler(self.LR_conv(self.c(torch.cat(outputs, dim=1))) + first)
        return sr, (first, *(outputs[k - 1] for k in self.node_blocks)) if keep_nodes else ()

    @staticmethod
    def detect(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any] | None:
        blocks = {
            int(match[1])
            for key in shapes
            if (match := re.match(r"B(\d+)\.esa\.conv_max\.weight$", key))
        }
        first, last = shapes.get("fea_conv.weight"), shapes.get("upsampler.0.weight")
        if not first or not last or not blocks or blocks != set(range(1, len(blocks) + 1)):
            return None
        return {"scale": round((last[0] / 3) ** 0.5), "width": first[0], "num_blocks": len(blocks)}
