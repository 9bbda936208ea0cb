"""ESRT: efficient transformer for super-resolution (Lu et al., CVPRW 2022, arXiv:2108.11084),
state-dict keys as published.

Three high-preserving blocks of convolutions, then one transformer layer over 3x3 patches around
every pixel, whose tokens attend to each other within a quarter of the image's rows.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.layers import ChannelGate, check_width, pad_to
from ibsd.students.student import NetworkCard, Shapes, Student, StudentSpec
from ibsd.types import Scale

HEADS = 8
SEGMENTS = 4
REPEATS = 5
"""How often the shared low-frequency module runs."""


class Factor(nn.Module):
    """x times one learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class RectifiedConv(nn.Module):
    """ReLU of a convolution without bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


class Bottleneck(nn.Module):
    """Two 3x3 convolutions through half the width with PReLU between, and the residual, each
    weighted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv1 = nn.Conv2d(width // 2, width, 3, padding=1)
        self.relu = nn.PReLU(width // 2)
        self.weight1 = Factor()
        self.weight2 = Factor()

    def forward(self, x: Tensor) -> Tensor:
        return self.weight1(x) + self.weight2(self.conv1(self.relu(self.conv(x))))


class AdaptiveBlock(nn.Module):
    """ARFB: two bottlenecks, their joined outputs reduced, gated and convolved, and the residual.
    `weight1` is in the files and never used."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer1 = Bottleneck(width)
        self.layer2 = Bottleneck(width)
        self.layer4 = RectifiedConv(width, width, 3)
        self.alise = RectifiedConv(2 * width, width, 1)
        self.atten = ChannelGate(width)
        self.weight1, self.weight2, self.weight3, self.weight4, self.weight5 = (
            Factor() for _ in range(5)
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.layer1(x)
        second = self.layer2(first)
        joined = self.alise(torch.cat((self.weight2(second), self.weight3(first)), dim=1))
        return self.weight4(x) + self.weight5(self.layer4(self.atten(joined)))


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)


class HighPreservingBlock(nn.Module):
    """HPB: the average-pooled part goes five times through one shared module, the rest, high
    frequencies, once through its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = AdaptiveBlock(width)
        self.decoder_low = AdaptiveBlock(width)
        self.decoder_high = AdaptiveBlock(width)
        self.alise = AdaptiveBlock(width)
        self.alise2 = RectifiedConv(2 * width, width, 1)
        self.att = ChannelGate(width)

    def forward(self, x: Tensor) -> Tensor:
        encoded = self.encoder(x)
        low = F.avg_pool2d(pad_to(encoded, minimum_px=2), 2)
        high = self.decoder_high(encoded - enlarged(low, x))
        for _ in range(REPEATS):
            low = self.decoder_low(low)
        return self.alise(self.att(self.alise2(torch.cat((enlarged(low, x), high), dim=1)))) + x


class SegmentAttention(nn.Module):
    """Multi-head attention of [N, L, C] at half the width, among the tokens of each quarter of the
    sequence.

    Up to three tokens that are left over where L is no multiple of 4 attend to each other, as in
    the published code.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = (dim // HEADS) ** -0.5
        self.reduce = nn.Linear(dim, dim // 2, bias=False)
        self.qkv = nn.Linear(dim // 2, dim // 2 * 3, bias=False)
        self.proj = nn.Linear(dim // 2, dim)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.reduce(x))
        count, length, channels = qkv.shape
        segment = length // SEGMENTS
        if length == SEGMENTS * segment:
            whole = self.attend(qkv.reshape(count * SEGMENTS, segment, channels))
            return self.proj(whole.reshape(count, length, channels // 3))
        parts: list[Tensor] = []
        if segment:
            whole = qkv[:, : SEGMENTS * segment].reshape(count * SEGMENTS, segment, channels)
            parts = [self.attend(whole).reshape(count, SEGMENTS * segment, channels // 3)]
        return self.proj(torch.cat((*parts, self.attend(qkv[:, SEGMENTS * segment :])), dim=1))

    def attend(self, qkv: Tensor) -> Tensor:
        q, k, v = qkv.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v, scale=self.scale).transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, dim // 4)
        self.fc2 = nn.Linear(dim // 4, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(x)))


class TransformerLayer(nn.Module):
    """ET: [N, C, H, W] unfolded to one token of 9 C values per pixel; gives tokens [N, H W, 9
    C]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        dim = 9 * width
        self.atten = SegmentAttention(dim)
        self.mlp = FeedForward(dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        tokens = F.unfold(x, 3, padding=1).transpose(1, 2)
        tokens = tokens + self.atten(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Body(nn.Module):
    """Three high-preserving blocks and the transformer layer on their joined outputs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder1, self.encoder2, self.encoder3 = (HighPreservingBlock(width) for _ in range(3))
        self.reduce = nn.Conv2d(3 * width, width, 3, padding=1)
        self.weight1 = Factor()
        self.weight2 = Factor()
        self.attention = TransformerLayer(width)
        self.alise = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs of the first and the third block, and of the whole."""
        first = self.encoder1(x)
        second = self.encoder2(first)
        third = self.encoder3(second)
        tokens = self.attention(self.reduce(torch.cat((first, second, third), dim=1)))
        mixed = self.alise(F.fold(tokens.transpose(1, 2), x.shape[-2:], 3, padding=1))
        return first, third, self.weight1(x) + self.weight2(mixed)


def upsampler(width: int, scale: Scale) -> nn.Sequential:
    steps = (2, 2) if scale == 4 else (scale,)
    pairs = [
        (nn.Conv2d(width, width * step**2, 3, padding=1), nn.PixelShuffle(step)) for step in steps
    ]
    return nn.Sequential(*(part for pair in pairs for part in pair))


class ESRT(Student):
    """ESRT. x4 has 751,767 parameters at the published width 32.

    Args:
        scale: 1 to 4.
        width: channels, a multiple of 16 (eight heads at half of nine times the width).

    Nodes: first convolution, high-preserving blocks 1 and 3, and the transformer's sum with the
    first convolution; ours.
    """

    name: ClassVar[str] = "esrt"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Lu et al., CVPRW 2022",
        "github.com/luissen/ESRT",
        exported_minimum_px=4,
        tile_multiple_px=2,
    )

    def __init__(self, scale: Scale = 4, width: int = 32) -> None:
        super().__init__()
        check_width(self.name, width, 16)
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            receptive_field_px=64,  # a practical overlap; at half resolution it sees 200 px far
            pools_globally=True,
            cut="tail",  # F0 also reaches SR through `up`
            options={"width": width},
        )
        self.head = nn.Sequential(nn.Conv2d(3, width, 3, padding=1))
        self.body = nn.Sequential(Body(width))
        self.reduce = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Sequential(upsampler(width, scale), nn.Conv2d(width, 3, 3, padding=1))
        self.up = nn.Sequential(upsampler(width, scale), RectifiedConv(width, 3, 3))

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        head = self.head(lr)
        first, third, last = self.body[0](head)
        sr = self.tail(self.reduce(last)) + self.up(head)
        return sr, (head, first, third, last) if keep_nodes else ()

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        first = shapes.get("head.0.weight")
        last = shapes.get("tail.0.0.weight")
        if not first or not last or "body.0.attention.atten.qkv.weight" not in shapes:
            return None
        scale = 4 if "tail.0.2.weight" in shapes else round((last[0] / first[0]) ** 0.5)
        return {"scale": scale, "width": first[0]}
