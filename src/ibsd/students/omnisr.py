"""Omni-SR: omni-dimensional attention (Wang et al., CVPR 2023, arXiv:2304.10244), state-dict
keys as published, attention through one fused operator.

A group holds a block of five residual stages twice over: attention among the pixels of a window and
among the channels, first on windows of neighbouring pixels, then on grids of pixels that lie far
apart.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.layers import (
    EnhancedSpatialAttention,
    check_width,
    count_blocks,
    pad_to,
    scale_and_width,
)
from ibsd.students.student import NetworkCard, Shapes, Student, StudentSpec
from ibsd.types import InputError, Scale

WINDOW = 8
HEADS = 4
Partition = Literal["window", "grid"]
"""What belongs together. Pixels attend to the 8x8 of their window, or to 8x8 that lie an eighth of
the image apart; channels are compared over the 8x8 of a window, or over all pixels that have the
same place in their windows."""

ORDERS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "window": ((0, 1, 3, 2, 4, 5), (0, 1, 3, 2, 4, 5)),
    "grid": ((0, 2, 4, 1, 3, 5), (0, 3, 1, 4, 2, 5)),
}
"""Axes that bring what belongs together side by side, and those that bring it back."""

# Feature maps are [N, H, W, C] within a block: pointwise convolutions are then matrix products
# without copies, and windows are long runs.


class Pointwise(nn.Conv2d):
    """1x1 convolution of [N, H, W, C]."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.flatten(1), self.bias)


class Depthwise(nn.Conv2d):
    """3x3 convolution of each channel of [N, H, W, C]."""

    def __init__(self, channels: int, bias: bool = True) -> None:
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class SqueezeExcitation(nn.Module):
    """Scales channels by a gate computed from their means over the whole image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = width // 4
        first = nn.Linear(width, hidden, bias=False)
        last = nn.Linear(hidden, width, bias=False)
        # the published place 0 takes the mean
        self.gate = nn.Sequential(nn.Identity(), first, nn.SiLU(), last, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean(dim=(1, 2), keepdim=True))


class LocalConvolution(nn.Module):
    """MBConv with expansion 1: pointwise, depthwise, squeeze and excitation, pointwise;
    residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first = Pointwise(width, width)
        last = Pointwise(width, width)
        self.fn = nn.Sequential(
            first, nn.GELU(), Depthwise(width), nn.GELU(), SqueezeExcitation(width), last
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fn(x)


def relative_positions() -> Tensor:
    """[64, 64]: row of the bias table for every pair of places in a window."""
    axis = torch.arange(WINDOW)
    place = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
    difference = place[:, :, None] - place[:, None, :] + WINDOW - 1
    return difference[0] * (2 * WINDOW - 1) + difference[1]


class PixelAttention(nn.Module):
    """Multi-head attention among the 64 pixels of a window or grid, with a learned bias for their
    relative position."""

    def __init__(self, width: int, partition: Partition) -> None:
        super().__init__()
        self.partition = partition
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width, bias=False))
        self.rel_pos_bias = nn.Embedding((2 * WINDOW - 1) ** 2, HEADS)
        self.register_buffer("positions", relative_positions(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        rows = height // WINDOW
        columns = width // WINDOW
        order, back = ORDERS[self.partition]
        split = (count, rows, WINDOW, columns, WINDOW, channels)
        if self.partition == "grid":
            split = (count, WINDOW, rows, WINDOW, columns, channels)
        windows = x.view(split).permute(order).reshape(count * rows * columns, WINDOW**2, channels)
        qkv = self.to_qkv(windows).unflatten(-1, (3, HEADS, channels // HEADS))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.rel_pos_bias(self.positions).permute(2, 0, 1)[None].to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)
        mixed = self.to_out(mixed).view(count, rows, columns, WINDOW, WINDOW, channels)
        return mixed.permute(back).reshape(count, height, width, channels)


class ChannelAttention(nn.Module):
    """Attention among the channels of a head, by the cosine of two channels over the pixels of a
    group.

    softmax(temperature * cos(q_c, k_d)) v_d as two matrix products per group over all pairs of
    channels, of which those of different heads are left out; the norms divide after. That is four
    times the multiplications that heads need, and no copy of q, k and v.
    """

    def __init__(self, width: int, partition: Partition) -> None:
        super().__init__()
        self.partition = partition
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.qkv = Pointwise(width, 3 * width, bias=False)
        self.qkv_dwconv = Depthwise(3 * width, bias=False)
        self.project_out = Pointwise(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, channels = x.shape
        rows = height // WINDOW
        columns = width // WINDOW
        order, back = ORDERS[self.partition]
        groups = (rows, columns)
        pixels = (WINDOW, WINDOW)
        if self.partition == "grid":
            groups, pixels = pixels, groups
        qkv = self.qkv_dwconv(self.qkv(x))
        qkv = qkv.view(count, rows, WINDOW, columns, WINDOW, 3 * channels).permute(order)
        qkv = qkv.reshape(count * groups[0] * groups[1], pixels[0] * pixels[1], 3 * channels)
        q, k, v = qkv.chunk(3, dim=-1)
        norm_q = q.square().sum(1).sqrt().clamp_min(1e-12)
        norm_k = k.square().sum(1).sqrt().clamp_min(1e-12)
        products = torch.bmm(q.transpose(1, 2), k) / (norm_q[:, :, None] * norm_k[:, None, :])
        pairs = products.unflatten(1, (HEADS, -1)).unflatten(3, (HEADS, -1))
        heads = pairs.diagonal(dim1=1, dim2=3)  # [groups, d, d, HEADS]
        softmax = (heads * self.temperature.flatten()).softmax(dim=2)
        weights = torch.diag_embed(softmax, dim1=1, dim2=3).reshape_as(products)
        mixed = torch.bmm(v, weights.transpose(1, 2)).view(count, *groups, *pixels, channels)
        mixed = mixed.permute(back).reshape(count, height, width, channels)
        return self.project_out(mixed)


class GatedFeedForward(nn.Module):
    """Two halves of a widened depthwise convolution, one gating the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project_in = Pointwise(width, 2 * width, bias=False)
        self.dwconv = Depthwise(2 * width, bias=False)
        self.project_out = Pointwise(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=-1)
        return self.project_out(F.gelu(gate) * value)


class PreNorm(nn.Module):
    """x + fn(norm(x)), the norm over the channels of a pixel."""

    def __init__(self, width: int, eps: float, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps)
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fn(self.norm(x))


class OmniAttentionBlock(nn.Module):
    """OSA: local convolution, then pixel attention, feed-forward, channel attention, feed-forward
    on windows, and the four again on grids.

    `layer` is numbered as published, where places 1, 3, 7 and 9 rearrange pixels. Takes and gives
    [N, C, H, W].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.ModuleDict({"0": LocalConvolution(width)})
        stages: tuple[tuple[int, Partition], ...] = ((2, "window"), (8, "grid"))
        for place, partition in stages:
            self.layer[str(place)] = PreNorm(width, 1e-5, PixelAttention(width, partition))
            self.layer[str(place + 2)] = PreNorm(width, 1e-6, GatedFeedForward(width))
            self.layer[str(place + 3)] = PreNorm(width, 1e-6, ChannelAttention(width, partition))
            self.layer[str(place + 4)] = PreNorm(width, 1e-6, GatedFeedForward(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1).contiguous()
        for layer in self.layer.values():
            x = layer(x)
        return x.permute(0, 3, 1, 2)


class OmniGroup(nn.Module):
    """OSAG: blocks, a pointwise convolution, the residual, enhanced spatial attention."""

    def __init__(self, width: int, num_blocks: int) -> None:
        super().__init__()
        self.residual_layer = nn.Sequential(
            *(OmniAttentionBlock(width) for _ in range(num_blocks)), nn.Conv2d(width, width, 1)
        )
        self.esa = EnhancedSpatialAttention(width, max(width // 4, 16), deep=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.esa(self.residual_layer(x) + x)


class OmniSR(Student):
    """Omni-SR. x4 has 805,376 parameters at the published width 64 with 5 groups of one block.

    Takes any size. It pads with zeros at the bottom and right to multiples of 8, as published, and
    the nodes have the padded size. At 8 pixels, where the published network fails, its spatial
    attention pads by replication.

    Args:
        scale: 1 to 4.
        width: channels, a multiple of 4.
        num_groups: groups, at least 3.

    Source: Wang et al., CVPR 2023; nodes as IBSD's published networks place them (docs/method.md
    1): first convolution, first, middle and last group.
    """

    name: ClassVar[str] = "omnisr"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Wang et al., CVPR 2023",
        "github.com/Francis0625/Omni-SR",
        exported_minimum_px=3 * WINDOW,
        tile_multiple_px=WINDOW,
        pads_zeros=True,
    )

    def __init__(self, scale: Scale = 4, width: int = 64, num_groups: int = 5) -> None:
        super().__init__()
        check_width(self.name, width, 4)
        if num_groups < 3:
            raise InputError(
                f"omnisr: num_groups is {num_groups}; a chain of four nodes needs at least 3"
            )
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            # of the convolutions, in whole windows
            receptive_field_px=-(-(3 + 7 * num_groups) // WINDOW) * WINDOW,
            pools_globally=True,
            cut="up",
            options={"width": width, "num_groups": num_groups},
        )
        self.input = nn.Conv2d(3, width, 3, padding=1)
        self.residual_layer = nn.Sequential(*(OmniGroup(width, 1) for _ in range(num_groups)))
        self.output = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.Sequential(
            nn.Conv2d(width, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        first = x = self.input(pad_to(lr, multiple=WINDOW, mode="constant"))
        outputs: list[Tensor] = []
        for group in self.residual_layer:
            x = group(x)
            outputs.append(x)
        sr = self.cropped(self.up(self.output(x) + first), lr)
        nodes = (first, outputs[0], outputs[len(outputs) // 2], outputs[-1])
        return sr, nodes if keep_nodes else ()

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        options = scale_and_width(shapes, "input.weight", "up.0.weight")
        num_groups = count_blocks(shapes, r"residual_layer\.(\d+)\.esa\.conv1\.weight$")
        return options | {"num_groups": num_groups} if options and num_groups else None
