"""SPAN: swift parameter-free attention (Wan et al., CVPRW 2024, arXiv:2311.12770), state-dict keys
as published.

A network of plain 3x3 convolutions. The authors train each as the sum of two branches and merge
them for inference; `branches` chooses.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.layers import check_width, scale_and_width
from ibsd.students.student import NetworkCard, Shapes, Student, StudentSpec
from ibsd.types import Scale

NUM_BLOCKS = 6
RANGE = 255.0
MEAN = (0.4488, 0.4371, 0.4040)
"""Of DIV2K, in [0, 1]. The published network sees (lr - MEAN) * RANGE and gives SR in [0, 1]."""


class MergeableConv(nn.Module):
    """A 3x3 convolution `eval_conv`, or with `branches` the sum of a 1x1 convolution and a chain of
    1x1, 3x3 and 1x1 ones.

    The branches are linear, so forward merges them into one kernel, with gradients, and convolves
    once. `eval_conv` is then a copy of that kernel for readers of the file. It is updated whenever
    the state dict is taken, and has no gradient.
    """

    def __init__(self, inputs: int, outputs: int, branches: bool) -> None:
        super().__init__()
        self.branches = branches
        self.eval_conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        if branches:
            self.sk = nn.Conv2d(inputs, outputs, 1)
            wide_in = 2 * inputs
            wide_out = 2 * outputs
            self.conv = nn.Sequential(
                nn.Conv2d(inputs, wide_in, 1),
                nn.Conv2d(wide_in, wide_out, 3),
                nn.Conv2d(wide_out, outputs, 1),
            )
            self.eval_conv.requires_grad_(False)
            self.register_state_dict_pre_hook(bring_up_to_date)

    def merged(self) -> tuple[Tensor, Tensor]:
        """Kernel [outputs, inputs, 3, 3] and bias of the sum of the branches."""
        first, first_bias, middle, middle_bias, last, last_bias = self.conv.parameters()
        skip, skip_bias = self.sk.parameters()
        chain = torch.einsum("om,mpyx,pi->oiyx", last[..., 0, 0], middle, first[..., 0, 0])
        shift = middle_bias + torch.einsum("mpyx,p->m", middle, first_bias)
        return chain + F.pad(skip, (1, 1, 1, 1)), last[..., 0, 0] @ shift + last_bias + skip_bias

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.merged(), padding=1) if self.branches else self.eval_conv(x)


@torch.no_grad()
def bring_up_to_date(module: MergeableConv, prefix: str, keep_vars: bool) -> None:
    for copy, merged in zip(module.eval_conv.parameters(), module.merged(), strict=True):
        copy.copy_(merged)


class AttentionBlock(nn.Module):
    """SPAB: three convolutions; the gate is a symmetric function of their result, without
    parameters."""

    def __init__(self, width: int, branches: bool) -> None:
        super().__init__()
        self.c1_r, self.c2_r, self.c3_r = (MergeableConv(width, width, branches) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(output, first convolution's result)."""
        early = self.c1_r(x)
        late = self.c3_r(F.silu(self.c2_r(F.silu(early))))
        return (late + x) * (late.sigmoid() - 0.5), early


class SPAN(Student):
    """SPAN. x4 has 498,208 parameters at the paper's width 52, merged; the authors' files are of 48
    and 52 channels with branches.

    Args:
        scale: 1 to 4.
        width: channels.
        branches: train as the authors do, with two branches to each convolution (2,621,964
            parameters at x4 while training); `merged` then gives the network that ships.
        norm: False for a network that sees lr as it is. Its file holds the key `no_norm`, as those
            of neosr and traiNNer-redux do.

    Nodes: first convolution and blocks 2, 4 and 6; ours.
    """

    name: ClassVar[str] = "span"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Wan et al., CVPRW 2024", "github.com/hongyuanyu/SPAN"
    )

    def __init__(
        self, scale: Scale = 4, width: int = 52, branches: bool = False, norm: bool = True
    ) -> None:
        super().__init__()
        check_width(self.name, width, 1)
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            receptive_field_px=1 + 3 * NUM_BLOCKS + 2,
            pools_globally=False,
            options={"width": width, "branches": branches, "norm": norm},
        )
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        if not norm:
            self.register_buffer("no_norm", torch.zeros(1))
        self.conv_1 = MergeableConv(3, width, branches)
        for k in range(1, NUM_BLOCKS + 1):
            self.add_module(f"block_{k}", AttentionBlock(width, branches))
        self.conv_cat = nn.Conv2d(4 * width, width, 1)
        self.conv_2 = MergeableConv(width, width, branches)
        self.upsampler = nn.Sequential(
            nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        norm = self.spec.options["norm"]
        first = x = self.conv_1((lr - self.mean) * RANGE if norm else lr)
        outputs: list[Tensor] = []
        early = x
        for k in range(1, NUM_BLOCKS + 1):
            x, early = self.get_submodule(f"block_{k}")(x)
            outputs.append(x)
        sr = self.upsampler(
            self.conv_cat(torch.cat((first, self.conv_2(x), outputs[0], early), dim=1))
        )
        return sr, (first, outputs[1], outputs[3], outputs[5]) if keep_nodes else ()

    def merged(self) -> SPAN:
        """The same function without branches, in eval mode."""
        options = self.spec.options | {"branches": False}
        plain = SPAN(self.spec.scale, **options)
        plain.load_state_dict(
            {key: value for key, value in self.state_dict().items() if key in plain.state_dict()}
        )
        return plain.to(self.conv_cat.weight).eval()

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        options = scale_and_width(shapes, first="conv_1.eval_conv.weight")
        if not options or "block_1.c1_r.eval_conv.weight" not in shapes:
            return None
        kind = {"branches": "conv_1.sk.weight" in shapes, "norm": "no_norm" not in shapes}
        return options | kind
