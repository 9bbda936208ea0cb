"""A student as a plain graph from picture to picture: no chain, no padding by size, its sizes
free."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.inference.exported import NetworkFacts
from ibsd.students import Student
from ibsd.students.imdn import SLOPE, ContrastAwareAttention, DistillationBlock

LARGEST_PX = 4096


class Picture(nn.Module):
    """`student.run` alone, which takes sizes from `exported_facts` on; `Student.forward` would also
    pad smaller ones."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, data: Tensor) -> Tensor:
        return self.student.run(data, keep_nodes=False)[0]


class PlainContrast(nn.Module):
    """Contrast-aware attention from means, products and a root alone, for converters that know no
    variance and no condition.

    Equal to the student's up to rounding. (Its gradient is not: the root's is infinite at a flat
    image.)
    """

    def __init__(self, attention: ContrastAwareAttention) -> None:
        super().__init__()
        self.conv_du = attention.conv_du

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True)
        offset = x - mean
        return x * self.conv_du((offset * offset).mean(dim=(2, 3), keepdim=True).sqrt() + mean)


class SeparateParts(nn.Module):
    """IMDN's block in which what is kept and what is refined come out of convolutions of their own:
    equal up to rounding.

    Runtimes that keep channels innermost copy both parts of a split, on OpenVINO for an eighth of
    the network's time; to read an input twice costs less (`docs/performance.md`).
    """

    def __init__(self, block: DistillationBlock) -> None:
        super().__init__()
        whole, kept = (block.c1, block.c2, block.c3), block.kept
        self.kept = nn.ModuleList(_outputs(conv, slice(0, kept)) for conv in whole)
        self.refined = nn.ModuleList(_outputs(conv, slice(kept, None)) for conv in whole)
        self.c4, self.cca, self.c5 = block.c4, block.cca, block.c5

    def forward(self, x: Tensor) -> Tensor:
        parts, rest = [], x
        for kept, refined in zip(self.kept, self.refined, strict=True):
            parts.append(F.leaky_relu(kept(rest), SLOPE))
            rest = F.leaky_relu(refined(rest), SLOPE)
        return self.c5(self.cca(torch.cat((*parts, self.c4(rest)), dim=1))) + x


def _outputs(conv: nn.Conv2d, channels: slice) -> nn.Conv2d:
    """The same convolution for some of its output channels."""
    assert conv.bias is not None
    weight, bias = conv.weight[channels], conv.bias[channels]
    # pyright: ignore[reportArgumentType]
    part = nn.Conv2d(conv.in_channels, len(weight), conv.kernel_size, padding=conv.padding)
    part.load_state_dict({"weight": weight, "bias": bias})
    return part.requires_grad_(False)


def exported_facts(student: Student) -> NetworkFacts:
    """The facts of what `picture_of` gives. Tiles are whole multiples of what the network asks
    for."""
    spec, card = student.spec, student.card
    smallest = max(spec.minimum_size_px, card.exported_minimum_px)
    return NetworkFacts(
        spec.name,
        spec.scale,
        spec.receptive_field_px,
        spec.pools_globally,
        smallest,
        card.tile_multiple_px,
        pads_zeros=card.pads_zeros,
    )


def picture_of(student: Student, plain_contrast: bool = False) -> Picture:
    """A copy of the student in eval mode as a graph, with `SeparateParts`. `plain_contrast` puts
    `PlainContrast` into it."""
    copied = copy.deepcopy(student).cpu().eval().requires_grad_(False)
    _replace(copied, DistillationBlock, SeparateParts)
    if plain_contrast:
        _replace(copied, ContrastAwareAttention, PlainContrast)
    return Picture(copied)


def _replace(network: nn.Module, kind: type[nn.Module], by: Callable[[Any], nn.Module]) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                setattr(parent, name, by(child))


def example(facts: NetworkFacts, rows: int = 4, columns: int = 5) -> Tensor:
    """A random picture of a size that the network takes, not square; `rows` and `columns` count
    steps of at least 8 pixels."""
    step = max(8, facts.multiple_px)
    height, width = (
        -(-max(facts.minimum_size_px, count * step) // facts.multiple_px) * facts.multiple_px
        for count in (rows, columns)
    )
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def free_sizes(facts: NetworkFacts) -> dict[int, Any]:
    """`dynamic_shapes` of torch.export for one picture: height and width as multiples of what the
    network asks for."""
    found = {}
    for axis, name in ((2, "height"), (3, "width")):
        smallest = max(
            2, -(-facts.minimum_size_px // facts.multiple_px)
        )  # torch.export tells sizes of one from all others
        counted = torch.export.Dim(name, min=smallest, max=LARGEST_PX // facts.multiple_px)
        found[axis] = counted if facts.multiple_px == 1 else facts.multiple_px * counted
    return found


@contextmanager
def quietly() -> Iterator[None]:
    """Without what the converters have to say of themselves."""
    registry = logging.getLogger(
        "torch.onnx._internal.exporter._registration"
    )  # warns of torchvision's operators when that is not there
    level = registry.level
    registry.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registry.setLevel(level)
