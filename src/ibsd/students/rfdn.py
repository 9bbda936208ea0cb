"""RFDN: residual feature distillation network (Liu et al., ECCVW 2020, arXiv:2009.11551),
state-dict keys as published.

`RFDN` is the network that IBSD published, with contrast-aware attention; `RFDNAIM` the one that its
authors entered in the AIM 2020 challenge, with enhanced spatial attention (ESA).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.imdn import (
    SLOPE,
    ContrastAwareAttention,
    DistillationNetwork,
    conv,
)
from ibsd.students.layers import (
    EXPORTED_SMALLEST_PX,
    EnhancedSpatialAttention,
    check_width,
    count_blocks,
    scale_and_width,
    thirds,
)
from ibsd.students.student import NetworkCard, Shapes, StudentSpec
from ibsd.types import Scale

RUN = (1, 2, 3, 4, 4, 4)
"""Which block runs in each place. Blocks 5 and 6 are in the published files and never run."""


class ResidualDistillationBlock(nn.Module):
    """RFDB: three times half the channels are distilled by a 1x1 convolution and the rest refined
    residually; fusion, attention."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.c1_d = conv(width, width // 2, 1)
        self.c1_r = conv(width, width)
        self.c2_d = conv(width, width // 2, 1)
        self.c2_r = conv(width, width)
        self.c3_d = conv(width, width // 2, 1)
        self.c3_r = conv(width, width)
        self.c4 = conv(width, width // 2)
        self.c5 = conv(4 * (width // 2), width, 1)
        self.esa = attention

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        pairs = ((self.c1_d, self.c1_r), (self.c2_d, self.c2_r), (self.c3_d, self.c3_r))
        for distil, refine in pairs:
            kept.append(F.leaky_relu(distil(x), SLOPE))
            x = F.leaky_relu(refine(x) + x, SLOPE)
        return self.esa(self.c5(torch.cat((*kept, F.leaky_relu(self.c4(x), SLOPE)), dim=1)))


class RFDN(DistillationNetwork):
    """RFDN of IBSD. 544,386 parameters in the state dict at x4; 162,534 of them, in blocks 5 and 6,
    never run.

    Args:
        scale: 1 to 4.
        width: channels of every block, a multiple of 2.

    Source: Zhu, Chen, Liu, IEEE TCSVT 2024, whose published network runs block 4 three times and
    has contrast-aware attention where the original has ESA. Nodes: first convolution and the
    outputs in places 2, 4 and 6 (docs/method.md 1). `rfdn-aim` is the original.
    """

    name: ClassVar[str] = "rfdn"
    block_key: ClassVar[str] = "B"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Liu et al., ECCVW 2020; Zhu et al., TCSVT 2024", "the authors of IBSD"
    )

    def __init__(self, scale: Scale = 4, width: int = 48) -> None:
        super().__init__()
        check_width(self.name, width, 2)
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            receptive_field_px=1 + 4 * len(RUN) + 2,
            pools_globally=True,
            options={"width": width},
        )
        self.node_blocks = (2, 4, 6)
        blocks = (
            ResidualDistillationBlock(width, ContrastAwareAttention(width)) for _ in range(len(RUN))
        )
        self.build(blocks, RUN)

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        return scale_and_width(shapes) if "B1.esa.conv_du.0.weight" in shapes else None


class RFDNAIM(DistillationNetwork):
    """The original RFDN. x4 has 433,448 parameters at the challenge's width 50 with 4 blocks.

    Args:
        scale: 1 to 4.
        width: channels of every block, a multiple of 2.
        num_blocks: distillation blocks; the paper's own tables are of width 48 with 6.

    Nodes: first convolution, and the blocks at a third, two thirds and the end (of 4: 1, 3 and 4);
    ours, as IBSD published none for it.
    The gates see about 30 pixels far each, on a grid that depends on the size of the image: tiles
    never equal the whole exactly.
    """

    name: ClassVar[str] = "rfdn-aim"
    block_key: ClassVar[str] = "B"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Liu et al., ECCVW 2020", "github.com/njulj/RFDN", exported_minimum_px=EXPORTED_SMALLEST_PX
    )

    def __init__(self, scale: Scale = 4, width: int = 50, num_blocks: int = 4) -> None:
        super().__init__()
        check_width(self.name, width, 2)
        self.node_blocks = thirds(self.name, num_blocks)
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            receptive_field_px=1 + 4 * num_blocks + 2,  # beside the gates, which look much further
            pools_globally=True,
            options={"width": width, "num_blocks": num_blocks},
        )
        attentions = (
            EnhancedSpatialAttention(width, max(1, width // 4), deep=True)
            for _ in range(num_blocks)
        )
        self.build(
            (ResidualDistillationBlock(width, attention) for attention in attentions),
            range(1, num_blocks + 1),
        )

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        options = scale_and_width(shapes)
        num_blocks = count_blocks(shapes, r"B(\d+)\.esa\.conv_max\.weight$", first=1)
        return options | {"num_blocks": num_blocks} if options and num_blocks else None
