"""RFDN as published with IBSD: residual feature distillation (Liu et al., ECCV Workshops 2020) with
contrast-aware attention."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.facts import Facts
from ibsd.students.imdn import SLOPE, ContrastAwareAttention, conv
from ibsd.students.layers import check_width
from ibsd.students.student import Student, StudentSpec, check_scale
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

    Source: IBSD's published network: block 4 runs three times, contrast-aware attention stands
    where the original has ESA.
    Nodes: first convolution and the outputs in places 2, 4 and 6. `rfdn-aim` is the original.
    """

    name: ClassVar[str] = "rfdn"
    facts: ClassVar[Facts] = Facts(
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
