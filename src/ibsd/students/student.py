"""What every student is: a super-resolution network, the facts needed to use it, and a view of its
Markov chain.

A student knows nothing of losses or training. Inference calls `forward`; distillation calls
`trace`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.types import SCALES, InputError, Scale, Trace


@dataclass(frozen=True)
class StudentSpec:
    """Facts about one student, enough to rebuild it, tile for it and attach a chain of estimators
    to it."""

    name: str
    """Name in the registry."""
    scale: Scale
    channels: int
    """C of the chain's nodes."""
    num_nodes: int
    """Feature maps in the chain, F0 included."""
    minimum_size_px: int
    """Smallest LR side the network takes as it is; anything smaller is padded by replication and
    cropped after."""
    receptive_field_px: int
    """How many LR pixels away a pixel can influence the result through the convolutions alone."""
    pools_globally: bool
    """Whether statistics of the whole image enter, so that a tile can never equal the whole
    exactly."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments that differ from network to network; `create_student(name, scale,
    **options)` rebuilds it."""


class Student(nn.Module, ABC):
    """Base of all students. Subclasses compute features; this class pads, crops and keeps the
    chain's shape law."""

    name: ClassVar[str]
    spec: StudentSpec

    @abstractmethod
    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """SR of an input that is at least `minimum_size_px` on both sides, with its nodes if
        `keep_nodes`, else with ()."""

    @staticmethod
    @abstractmethod
    def detect(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """`create_student` keywords (with `scale`) if a state dict with these shapes is this
        network's, else None."""

    def forward(self, lr: Tensor) -> Tensor:
        """[N, 3, H, W] in [0, 1] -> [N, 3, sH, sW], about [0, 1] and not clamped. Gradients reach
        `lr` and all parameters."""
        check_rgb(lr)
        smallest = self.spec.minimum_size_px
        if (
            smallest <= 1
        ):  # decided without looking at the input's size, so that torch.export keeps it dynamic
            return self.run(lr, keep_nodes=False)[0]
        height, width = lr.shape[-2:]
        padded = F.pad(
            lr, (0, max(0, smallest - width), 0, max(0, smallest - height)), mode="replicate"
        )
        return self.run(padded, keep_nodes=False)[0][
            ..., : height * self.spec.scale, : width * self.spec.scale
        ]

    def trace(self, lr: Tensor) -> Trace:
        """The same `sr` as `forward`, and the chain's nodes F0, F1, ... [N, C, H, W] with their
        graph.

        The nodes of an input below the minimum size keep the padded size.
        """
        check_rgb(lr)
        smallest = self.spec.minimum_size_px
        height, width = lr.shape[-2:]
        if min(height, width) < smallest:
            lr = F.pad(
                lr, (0, max(0, smallest - width), 0, max(0, smallest - height)), mode="replicate"
            )
        sr, nodes = self.run(lr, keep_nodes=True)
        return Trace(sr[..., : height * self.spec.scale, : width * self.spec.scale], nodes)


def check_rgb(lr: Tensor) -> None:
    if lr.dim() != 4 or lr.shape[1] != 3:
        raise ValueError(f"a student takes [N, 3, H, W] in RGB, not {tuple(lr.shape)}")


def check_scale(scale: Scale) -> Scale:
    """`scale`, if some network can be built for it."""
    if scale not in SCALES:
        raise InputError(f"scale is {scale!r}; it must be one of {', '.join(map(str, SCALES))}")
    return scale


def spatial_std(x: Tensor) -> Tensor:
    """Population standard deviation of each channel over the image, [N, C, H, W] -> [N, C, 1, 1],
    with gradient 0 where it is 0.

    The square root's gradient is infinite at 0; a flat or single-pixel image would otherwise turn
    the whole step into NaN. Half-precision inputs are summed in fp32.
    """
    exact = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    variance = exact.var(dim=(2, 3), keepdim=True, correction=0)
    positive = variance > 0
    return torch.where(positive, torch.where(positive, variance, 1.0).sqrt(), 0.0).to(x.dtype)
