"""What upscaling needs of a network: NumPy in, NumPy out, and the facts that decide how to tile for
it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from ibsd.types import InputError, Scale

if TYPE_CHECKING:
    from torch import Tensor

TILE_PX = 256
"""The tile on every machine, so that no result depends on memory."""


@runtime_checkable
class Network(Protocol):
    """float32 [1, 3, h, w] in [0, 1] -> float32 [1, 3, sh, sw], not clamped; the input stays as it
    is."""

    @property
    def scale(self) -> Scale: ...
    @property
    def receptive_field_px(self) -> int | None:
        """How many LR pixels away a pixel can influence the result through convolutions alone; None
        where nobody knows."""
        ...

    @property
    def pools_globally(self) -> bool:
        """Whether statistics of the whole input enter, so that two tiles that share a place differ
        there."""
        ...

    @property
    def tile_px(self) -> int:
        """Side of the tiles that it runs on best. For a network that pools over its input, part of
        what its result is."""
        ...

    def __call__(self, lr: np.ndarray, /) -> np.ndarray: ...


Student = Callable[["Tensor"], "Tensor"]
"""A torch network: [1, 3, H, W] -> [1, 3, sH, sW]."""


class TorchNetwork:
    """A torch student as a `Network`, on the device of its parameters, without gradients."""

    tile_px = TILE_PX

    def __init__(self, student: Student, scale: Scale | None = None) -> None:
        self.student, self.scale = student, scale_of(student, scale)
        spec = getattr(student, "spec", None)
        self.receptive_field_px: int | None = getattr(spec, "receptive_field_px", None)
        self.pools_globally: bool = getattr(spec, "pools_globally", False)
        parameters: Any = getattr(student, "parameters", lambda: iter(()))
        first = next(iter(parameters()), None)
        self.device = "cpu" if first is None else first.device

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.student(torch.tensor(lr, device=self.device)).float().cpu().numpy()


@contextmanager
def as_network(student: Student | Network, scale: Scale | None = None) -> Iterator[Network]:
    """The student to upscale with, in eval mode inside; every module's own mode is put back after.
    InputError as `scale_of`."""
    if isinstance(student, Network):
        scale_of(student, scale)
        yield student
        return
    modules: Any = getattr(student, "modules", tuple)
    modes = [(module, module.training) for module in modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield TorchNetwork(student, scale)
    finally:
        for module, mode in modes:
            module.training = mode


def scale_of(student: Student | Network, scale: Scale | None = None) -> Scale:
    """`scale`, or the student's own. InputError when neither is known or the two differ."""
    own: Scale | None = (
        student.scale
        if isinstance(student, Network)
        else getattr(getattr(student, "spec", None), "scale", None)
    )
    known = own if scale is None else scale
    if known is None:
        raise InputError("the student does not say its scale (it has no spec.scale): give scale.")
    if own not in (None, known):
        raise InputError(
            f"the student is made for scale {own}, not {scale}: leave scale out or load another student."
        )
    return known
