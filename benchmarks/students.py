"""Omni-SR with fused attention against the published formulation, written out plainly below: same
results, and how much faster.

    python benchmarks/students.py --side 128 --threads 1

Prints the largest difference and, in turns within one process, the median seconds of both forwards;
exit 1 if they differ by more than 1e-4.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from types import MethodType

import torch
from torch import Tensor, nn

from ibsd.students import Student, create_student
from ibsd.students.layers import pad_to
from ibsd.students.omnisr import (
    HEADS,
    WINDOW,
    ChannelAttention,
    Depthwise,
    GatedFeedForward,
    OmniAttentionBlock,
    OmniSR,
    PixelAttention,
    Pointwise,
    PreNorm,
    SqueezeExcitation,
)

LIMIT = 1e-4


def to_windows(x: Tensor, partition: str) -> Tensor:
    """b d (x w) (y w) -> b x y w w d, or b d (w x) (w y) for the grid."""
    b, d, h, w = x.shape
    if partition == "window":
        return x.reshape(b, d, h // WINDOW, WINDOW, w // WINDOW, WINDOW).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(b, d, WINDOW, h // WINDOW, WINDOW, w // WINDOW).permute(0, 3, 5, 2, 4, 1)


def from_windows(x: Tensor, partition: str) -> Tensor:
    b, rows, columns, _, _, d = x.shape
    order = (0, 5, 1, 3, 2, 4) if partition == "window" else (0, 5, 3, 1, 4, 2)
    return x.permute(order).reshape(b, d, rows * WINDOW, columns * WINDOW)


def pixel_attention(self: PixelAttention, x: Tensor) -> Tensor:
    b, rows, columns, _, _, d = x.shape
    q, k, v = self.to_qkv(x.reshape(b * rows * columns, WINDOW**2, d)).chunk(3, dim=-1)
    q, k, v = (
        t.reshape(t.shape[0], WINDOW**2, HEADS, d // HEADS).permute(0, 2, 1, 3) for t in (q, k, v)
    )
    likeness = torch.einsum("bhid,bhjd->bhij", q * (d // HEADS) ** -0.5, k)
    likeness = likeness + self.rel_pos_bias(self.positions).permute(2, 0, 1)
    out = torch.einsum("bhij,bhjd->bhid", likeness.softmax(dim=-1), v)
    return self.to_out(out.permute(0, 2, 1, 3).reshape(b, rows, columns, WINDOW, WINDOW, d))


def channel_attention(self: ChannelAttention, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    rows, columns, d = h // WINDOW, w // WINDOW, c // HEADS
    window = self.partition == "window"
    split = (
        t.reshape(b, HEADS, d, rows, WINDOW, columns, WINDOW)
        for t in self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
    )
    order = (0, 3, 5, 1, 2, 4, 6) if window else (0, 4, 6, 1, 2, 3, 5)
    groups = rows * columns if window else WINDOW**2
    q, k, v = (t.permute(order).reshape(b, groups, HEADS, d, h * w // groups) for t in split)
    q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
    out = ((q @ k.transpose(-2, -1)) * self.temperature).softmax(dim=-1) @ v
    sizes = (
        (rows, columns, HEADS, d, WINDOW, WINDOW)
        if window
        else (WINDOW, WINDOW, HEADS, d, rows, columns)
    )
    back = (0, 3, 4, 1, 5, 2, 6) if window else (0, 3, 4, 5, 1, 6, 2)
    return self.project_out(out.reshape(b, *sizes).permute(back).reshape(b, c, h, w))


def pre_norm(self: PreNorm, x: Tensor) -> Tensor:
    if isinstance(self.fn, PixelAttention):  # pixels last but for the channels
        return self.fn(self.norm(x)) + x
    centred = x - x.mean(1, keepdim=True)
    normed = centred / (centred.square().mean(1, keepdim=True) + self.norm.eps).sqrt()
    return (
        self.fn(self.norm.weight.view(1, -1, 1, 1) * normed + self.norm.bias.view(1, -1, 1, 1)) + x
    )


def feed_forward(self: GatedFeedForward, x: Tensor) -> Tensor:
    gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
    return self.project_out(nn.functional.gelu(gate) * value)


def squeeze(self: SqueezeExcitation, x: Tensor) -> Tensor:
    return x * self.gate(x.mean(dim=(2, 3)))[:, :, None, None]


def block(self: OmniAttentionBlock, x: Tensor) -> Tensor:
    for place, layer in self.layer.items():
        if place in ("2", "8"):
            partition = "window" if place == "2" else "grid"
            x = from_windows(layer(to_windows(x, partition)), partition)
        else:
            x = layer(x)
    return x


def network(self: OmniSR, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    height, width = lr.shape[-2:]
    first = self.input(pad_to(lr, multiple=WINDOW, mode="constant"))
    sr = self.up(self.output(self.residual_layer(first)) + first)
    return sr[..., : height * self.spec.scale, : width * self.spec.scale], ()


def as_published(student: Student) -> Student:
    """The same weights with every part replaced by its plain formulation."""
    plain = create_student("omnisr", student.spec.scale, **student.spec.options).eval()
    plain.load_state_dict(student.state_dict())
    forwards = {
        Pointwise: nn.Conv2d.forward,
        Depthwise: nn.Conv2d.forward,
        SqueezeExcitation: squeeze,
        PixelAttention: pixel_attention,
        ChannelAttention: channel_attention,
        GatedFeedForward: feed_forward,
        PreNorm: pre_norm,
        OmniAttentionBlock: block,
    }
    for module in plain.modules():
        if type(module) in forwards:
            module.forward = MethodType(forwards[type(module)], module)
    plain.run = MethodType(network, plain)
    return plain


def seconds(student: Student, lr: Tensor) -> float:
    start = time.perf_counter()
    student(lr)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=128, help="LR side in pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    fused = create_student("omnisr", 4).eval()
    plain = as_published(fused)
    lr = torch.rand(1, 3, options.side, options.side)
    with torch.inference_mode():
        difference = float((fused(lr) - plain(lr)).abs().max())
        times = [(seconds(fused, lr), seconds(plain, lr)) for _ in range(options.repeats)]
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"x4, LR {options.side}x{options.side}, {options.threads} threads, torch "
        f"{torch.__version__}, medians of {options.repeats} in turns"
    )
    print(f"largest difference {difference:.1e} (limit {LIMIT:.0e})")
    print(f"published formulation {theirs:.3f} s, ours {ours:.3f} s, ratio {theirs / ours:.2f}")
    return int(difference > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
