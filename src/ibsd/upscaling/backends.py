"""What runs a network: torch, OpenVINO or ONNX Runtime, each behind the same call, and the facts that a tiler needs.

`open_network` takes a weight file or an exported model and gives a `BackendNetwork`. Only the torch backend imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ibsd.types import InputError, Scale
from ibsd.upscaling.network import TILE_PX

Backend = Literal["torch", "compiled"]
Precision = Literal["fp32", "bf16", "fp16"]
BACKENDS: tuple[str, ...] = ("torch", "compiled")
PRECISIONS: tuple[str, ...] = ("fp32", "bf16", "fp16")

Runner = Callable[[np.ndarray], np.ndarray]
"""float32 [1, 3, h, w] -> float32 [1, 3, sh, sw]; the input is at least as large as the network needs and stays as it is."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class NetworkFacts:
    """What there is to know of a network without its weights; written into exported files as `metadata_block`."""

    name: str
    scale: Scale
    receptive_field_px: int
    """How many LR pixels away a pixel can influence the result through convolutions alone."""
    pools_globally: bool
    """Whether statistics of the whole input enter, so that tiles never equal the whole exactly."""
    minimum_size_px: int
    """Smallest LR side that the network takes as it is."""
    tile_px: int = TILE_PX
    """Side of the tiles that it runs on best."""

    @classmethod
    def of_spec(cls, spec: Any) -> NetworkFacts:
        """The facts in a `StudentSpec`."""
        return cls(spec.name, spec.scale, spec.receptive_field_px, spec.pools_globally, spec.minimum_size_px)


class BackendNetwork:
    """A network on some backend: float32 [1, 3, h, w] in [0, 1] -> float32 [1, 3, sh, sw], not clamped, for any h, w >= 1.

    Inputs below the minimum size are padded by replication at the bottom right and the result is cropped, as `Student.forward` does. Where
    a reduced precision gives what is not a number, that tile and all later ones run in fp32, and `say` is told once.
    """

    def __init__(
        self, facts: NetworkFacts, run: Runner, backend: str, precision: str, exact: Callable[[], Runner] | None = None, say: Say = print
    ) -> None:
        self.facts, self.backend, self.precision = facts, backend, precision
        self._run, self._exact, self._say = run, exact, say

    @property
    def scale(self) -> Scale:
        return self.facts.scale

    @property
    def receptive_field_px(self) -> int:
        return self.facts.receptive_field_px

    @property
    def pools_globally(self) -> bool:
        return self.facts.pools_globally

    @property
    def minimum_size_px(self) -> int:
        return self.facts.minimum_size_px

    @property
    def tile_px(self) -> int:
        return self.facts.tile_px

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        height, width = lr.shape[-2:]
        below, right = max(0, self.minimum_size_px - height), max(0, self.minimum_size_px - width)
        if below or right:
            lr = np.pad(lr, ((0, 0), (0, 0), (0, below), (0, right)), mode="edge")
        sr = self._run(lr)
        if self._exact and not np.isfinite(sr).all():
            self._say(f"{self.precision} gave what is not a number, so it goes on in fp32: slower, and right")
            self._run, self._exact, self.precision = self._exact(), None, "fp32"
            sr = self._run(lr)
        return sr[..., : height * self.scale, : width * self.scale] if below or right else sr


def open_network(
    weights: str | Path, *, backend: str = "auto", precision: str = "auto", device: str = "auto", say: Say = print
) -> BackendNetwork:
    """The network in a file, ready to run.

    Args:
        weights: a weight file (safetensors, or a published .pth).
        backend: "torch", or "compiled" (torch.compile: fast after a minute of compiling). "auto" is torch.
        precision: "fp32", "bf16" or "fp16" (fp16 on CUDA only). "auto" is the fastest that the hardware has and that came out right on a
            small picture when the network was opened (`torch_backend.certified_precision`).
        device: "auto", "cpu", "cuda" or "cuda:0", for torch.
        say: is told, in a sentence, when the result falls back to fp32.

    Errors: InputError for an unknown word, a file that holds no network, or what the hardware cannot do.
    """
    if backend not in ("auto", *BACKENDS):
        raise InputError(f"backend is {backend!r}: choose auto, {' or '.join(BACKENDS)}")
    if precision not in ("auto", *PRECISIONS):
        raise InputError(f"precision is {precision!r}: choose auto, {', '.join(PRECISIONS)}")
    from ibsd.upscaling.torch_backend import open_torch

    return open_torch(Path(weights), compiled=backend == "compiled", precision=precision, device=device, say=say)
