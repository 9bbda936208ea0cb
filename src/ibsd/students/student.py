"""What every student is: a super-resolution network, what must be known to use it, and a view of
its Markov chain.

A student knows nothing of losses or training. Inference calls `forward`; distillation calls
`trace`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ibsd.students.layers import Shapes, pad_to
from ibsd.types import InputError, Scale, Trace, require_scale


@dataclass(frozen=True, kw_only=True)
class StudentSpec:
    """What it takes to rebuild one student, to tile for it and to attach a chain of estimators.

    Errors: InputError for a scale that no network has.
    """

    name: str
    """Name in the registry."""
    scale: Scale
    channels: int
    """C of the chain's nodes."""
    num_nodes: int = 4
    """Feature maps in the chain, F0 included."""
    minimum_size_px: int = 1
    """Smallest LR side that the network takes. `Student` pads smaller inputs by replication and
    crops the result."""
    receptive_field_px: int
    """How many LR pixels away a pixel can influence the result through the convolutions alone."""
    pools_globally: bool
    """Whether statistics of the whole image enter, so that a tile can never equal the whole
    exactly."""
    cut: str = "upsampler"
    """Submodule whose input is Z, the feature map between the network's body and its upsampler.
    What the body forgets before Z cannot reach SR by another way, unless the network's page in
    docs/students.md says so. Empty if there is none."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keyword arguments that differ from network to network; `create_student(name, scale,
    **options)` rebuilds it."""

    def __post_init__(self) -> None:
        require_scale("scale", self.scale)


@dataclass(frozen=True)
class NetworkCard:
    """What holds for every student of one network, whatever its scale and width: its origin, and
    the sizes that fit it."""

    paper: str = "none"
    weights: str = "none published"
    """Whose weight files `load_student` reads."""
    exported_minimum_px: int = 1
    """Smallest LR side that a program from `torch.export` with dynamic sizes takes. The network
    itself takes any."""
    tile_multiple_px: int = 1
    """The network works on windows or pools of this many LR pixels. It pads other sizes to a
    multiple; an exported program takes multiples only. Tiles should start and end at multiples, so
    that they meet the same windows as the whole image does."""
    pads_zeros: bool = False
    """Whether the network pads to the multiple by zeros; otherwise by replication."""


class Student(nn.Module, ABC):
    """Base of all students. Subclasses compute features; this class pads, crops and keeps the
    chain's shape law."""

    name: ClassVar[str]
    card: ClassVar[NetworkCard] = NetworkCard()
    spec: StudentSpec

    @abstractmethod
    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """SR of an input that is at least `minimum_size_px` on both sides, with its nodes if
        `keep_nodes`, else with ()."""

    @staticmethod
    @abstractmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        """`create_student` keywords (with `scale`) if a state dict with these shapes is this
        network's, else None."""

    def forward(self, lr: Tensor) -> Tensor:
        """[N, 3, H, W] in [0, 1] -> [N, 3, sH, sW], about [0, 1] and not clamped. Gradients reach
        `lr` and all parameters."""
        check_rgb(lr)
        minimum_px = self.spec.minimum_size_px
        if minimum_px <= 1:  # torch.export keeps the size dynamic where nothing depends on it
            return self.run(lr, keep_nodes=False)[0]
        return self.cropped(self.run(pad_to(lr, minimum_px=minimum_px), keep_nodes=False)[0], lr)

    def trace(self, lr: Tensor) -> Trace:
        """The same `sr` as `forward`, and the chain's nodes F0, F1, ... [N, C, H, W] with their
        graph.

        The nodes of an input below the minimum size keep the padded size.
        """
        check_rgb(lr)
        sr, nodes = self.run(pad_to(lr, minimum_px=self.spec.minimum_size_px), keep_nodes=True)
        return Trace(self.cropped(sr, lr), nodes)

    def trace_with_cut(self, lr: Tensor) -> tuple[Trace, Tensor]:
        """`trace`, and Z, [N, C', H, W], with its graph: the input of `spec.cut`.

        Errors: InputError if this student names no cut.
        """
        kept: list[Tensor] = []
        handle = self.cut_module().register_forward_pre_hook(keep_input(kept))
        try:
            trace = self.trace(lr)
        finally:
            handle.remove()
        return trace, kept[-1]

    def cut_module(self) -> nn.Module:
        """The module whose input is Z. InputError if this student names none."""
        if not self.spec.cut:
            raise InputError(
                f"{self.spec.name} has no cut: name the submodule that takes the last feature map "
                "(ibsd.tap(network, nodes, cut='tail'))"
            )
        return self.get_submodule(self.spec.cut)

    def cropped(self, sr: Tensor, lr: Tensor) -> Tensor:
        """`sr` without what padding has added to `lr`."""
        height, width = lr.shape[-2:]
        return sr[..., : height * self.spec.scale, : width * self.spec.scale]

    def tiling_advice(self) -> str:
        """One sentence on upscaling with this student tile by tile."""
        multiple_px = self.card.tile_multiple_px
        aligned = f" that start at multiples of {multiple_px} px" if multiple_px > 1 else ""
        overlap = f"tiles{aligned}, overlapping by {self.spec.receptive_field_px} px"
        if not self.spec.pools_globally:
            return f"{overlap}: exactly what the whole image gives"
        return f"{overlap}, as large as fit: statistics of a tile differ from those of the image"


def keep_input(kept: list[Tensor]) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    """A hook that appends a module's input to `kept`."""

    def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        kept.append(inputs[0])

    return hook


@contextmanager
def untouched(module: nn.Module) -> Generator[None]:
    """Eval mode and no gradients inside; afterwards every submodule has its own mode again."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def check_rgb(lr: Tensor) -> None:
    """InputError unless `lr` is [N, 3, H, W] in floating point."""
    if lr.dim() != 4 or lr.shape[1] != 3:
        raise InputError(f"a student takes [N, 3, H, W] in RGB, not {list(lr.shape)}")
    if not lr.is_floating_point():
        raise InputError(
            f"a student takes RGB in [0, 1] in floating point, not {lr.dtype}: "
            "divide 8-bit values by 255, as in lr.float() / 255"
        )
