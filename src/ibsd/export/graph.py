"""A student as a plain graph from LR to SR: no nodes, no padding, height and width free."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.inference.network import NetworkDescriptor
from ibsd.students import Student
from ibsd.students.imdn import SLOPE, ContrastAwareAttention, DistillationBlock
from ibsd.system import quiet_warnings

LARGEST_PX = 4096


class InferenceGraph(nn.Module):
    """`student.run` alone, [1, 3, H, W] -> [1, 3, sH, sW], for the sizes that
    `exported_descriptor` allows. `Student.forward` would also pad smaller ones."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, data: Tensor) -> Tensor:
        return self.student.run(data, keep_nodes=False)[0]


class PlainContrast(nn.Module):
    """Contrast-aware attention from means, products and a square root alone. Some converters know
    no variance and no condition.

    Equal to the student's attention up to rounding. Its gradient is infinite at a flat image, so it
    is for inference only.
    """

    def __init__(self, attention: ContrastAwareAttention) -> None:
        super().__init__()
        self.conv_du = attention.conv_du

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        offset = x - mean
        return x * self.conv_du((offset * offset).mean(dim=(2, 3), keepdim=True).sqrt() + mean)


class SeparateParts(nn.Module):
    """IMDN's block without splits: the kept and the refined channels have convolutions of their
    own. Equal up to rounding.

    Runtimes that keep channels innermost copy both parts of a split. On OpenVINO that takes an
    eighth of the network's time; reading the input twice costs less (docs/performance.md).
    In browsers it costs more.
    """

    def __init__(self, block: DistillationBlock) -> None:
        super().__init__()
        convolutions = (block.c1, block.c2, block.c3)
        num_kept = block.kept
        self.kept = nn.ModuleList(_outputs(conv, slice(0, num_kept)) for conv in convolutions)
        self.refined = nn.ModuleList(_outputs(conv, slice(num_kept, None)) for conv in convolutions)
        self.c4 = block.c4
        self.cca = block.cca
        self.c5 = block.c5

    def forward(self, x: Tensor) -> Tensor:
        parts: list[Tensor] = []
        rest = x
        for kept, refined in zip(self.kept, self.refined, strict=True):
            parts.append(F.leaky_relu(kept(rest), SLOPE))
            rest = F.leaky_relu(refined(rest), SLOPE)
        return self.c5(self.cca(torch.cat((*parts, self.c4(rest)), dim=1))) + x


def _outputs(conv: nn.Conv2d, channels: slice) -> nn.Conv2d:
    """The same convolution for some of its output channels."""
    assert conv.bias is not None
    assert not isinstance(conv.padding, str)
    weight = conv.weight[channels]
    bias = conv.bias[channels]
    height, width = conv.kernel_size
    top, left = conv.padding
    part = nn.Conv2d(conv.in_channels, len(weight), (height, width), padding=(top, left))
    part.load_state_dict({"weight": weight, "bias": bias})
    return part.requires_grad_(False)


def exported_descriptor(student: Student) -> NetworkDescriptor:
    """The descriptor of `inference_graph(student)`. Unlike the student it takes only multiples, and
    no sizes below torch.export's minimum."""
    spec = student.spec
    card = student.card
    return NetworkDescriptor(
        spec.name,
        spec.scale,
        spec.receptive_field_px,
        spec.pools_globally,
        minimum_size_px=max(spec.minimum_size_px, card.exported_minimum_px),
        multiple_px=card.tile_multiple_px,
        pads_zeros=card.pads_zeros,
    )


def inference_graph(
    student: Student, plain_contrast: bool = False, separate: bool = True
) -> InferenceGraph:
    """A copy of the student in eval mode, with `SeparateParts` if `separate`, and with
    `PlainContrast` if `plain_contrast`."""
    network = copy.deepcopy(student).cpu().eval().requires_grad_(False)
    if separate:
        _replace(network, DistillationBlock, SeparateParts)
    if plain_contrast:
        _replace(network, ContrastAwareAttention, PlainContrast)
    return InferenceGraph(network)


def _replace(network: nn.Module, kind: type[nn.Module], by: Callable[[Any], nn.Module]) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                setattr(parent, name, by(child))


def example_input(descriptor: NetworkDescriptor, rows: int = 4, columns: int = 5) -> Tensor:
    """A random input [1, 3, h, w] of a size that the network takes, not square. `rows` and
    `columns` count steps of at least 8 pixels."""
    step = max(8, descriptor.multiple_px)
    height, width = descriptor.padded_size(rows * step, columns * step)
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def dynamic_sizes(descriptor: NetworkDescriptor) -> dict[int, Any]:
    """`dynamic_shapes` of torch.export for one input: height and width are multiples of
    `descriptor.multiple_px`."""
    multiple_px = descriptor.multiple_px
    # torch.export treats a size of one differently from all others.
    smallest = max(2, -(-descriptor.minimum_size_px // multiple_px))
    sizes: dict[int, Any] = {}
    for axis, name in ((2, "height"), (3, "width")):
        dim = torch.export.Dim(name, min=smallest, max=LARGEST_PX // multiple_px)
        sizes[axis] = dim if multiple_px == 1 else multiple_px * dim
    return sizes


@contextmanager
def quiet_converters() -> Generator[None]:
    """Without the converters' warnings, among them one that torchvision is missing."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registry.level
    registry.setLevel(logging.ERROR)
    try:
        with quiet_warnings():
            yield
    finally:
        registry.setLevel(level)
