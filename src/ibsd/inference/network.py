"""A network that is ready to run, and the descriptor that says how to use it. Imports no torch
unless a torch network is run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ibsd.types import InputError, Scale

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_TILE_PX = 256
"""The tile on every machine, so that no result depends on memory."""
TILES_ON_A_GPU = 8
"""One tile of a lightweight network leaves most of a GPU idle."""
LIGHTWEIGHT = 2_000_000
"""Most parameters of a network that takes several tiles at once: larger ones might not fit."""

Runner = Callable[[np.ndarray], np.ndarray]
"""float32 [n, 3, h, w] -> float32 [n, 3, sh, sw]; n is 1 unless `Network.tiles_a_call` says more.
It gets only sizes that the network takes, and does not change its input."""

TensorFunction = Callable[["Tensor"], "Tensor"]
"""A torch network: [1, 3, H, W] -> [1, 3, sH, sW]."""


@dataclass(frozen=True)
class NetworkDescriptor:
    """Everything that tiling, padding, export and certificates need to know of a network.

    Exported files store these fields under these names. A new field needs a default, so that
    files that were made earlier still open.
    """

    name: str
    scale: Scale
    receptive_field_px: int | None
    """How many LR pixels away a pixel can influence the result through the convolutions alone.
    None if this is not known."""
    pools_globally: bool
    """Whether statistics of the whole input enter. Then no tile equals the whole image exactly."""
    minimum_size_px: int
    """Smallest LR side that the network takes as it is."""
    multiple_px: int = 1
    """Both sides must be multiples of this."""
    tile_px: int = DEFAULT_TILE_PX
    """Side of the tiles to run it on. For a network that pools globally, the result depends on
    it."""
    pads_zeros: bool = True
    """Whether `pad` fills up to the multiple with zeros; otherwise it replicates the edge."""

    @classmethod
    def of(cls, student: TensorFunction, scale: Scale | None = None) -> NetworkDescriptor:
        """The descriptor of a torch network, from its `spec` where it has one.

        A student pads to its multiple itself, so `multiple_px` is 1.

        Errors: InputError if neither `scale` nor `spec.scale` says the scale, or if they differ.
        """
        spec: Any = getattr(student, "spec", None)
        return cls(
            name=getattr(spec, "name", type(student).__name__),
            scale=agreed_scale(getattr(spec, "scale", None), scale),
            receptive_field_px=getattr(spec, "receptive_field_px", None),
            pools_globally=getattr(spec, "pools_globally", False),
            minimum_size_px=getattr(spec, "minimum_size_px", 1),
        )

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """The size that `pad` gives an input of this height and width."""
        up, across = (
            max(-(-length // self.multiple_px) * self.multiple_px, self.minimum_size_px)
            for length in (height, width)
        )
        return up, across

    def pad(self, lr: np.ndarray) -> np.ndarray:
        """`lr` [1, 3, h, w], padded at the bottom and right to a size that the network takes.

        First to the multiple, with zeros or by replication; then to the minimum, by replication.
        An input that fits is returned as it is. The torch counterpart is `students.layers.pad_to`.
        """
        height, width = (-(-side // self.multiple_px) * self.multiple_px for side in lr.shape[-2:])
        lr = _grow(lr, height, width, edge=not self.pads_zeros)
        return _grow(lr, *self.padded_size(height, width), edge=True)


def _grow(lr: np.ndarray, height: int, width: int, edge: bool) -> np.ndarray:
    if lr.shape[-2:] == (height, width):
        return lr
    missing = ((0, 0), (0, 0), (0, height - lr.shape[-2]), (0, width - lr.shape[-1]))
    return np.pad(lr, missing, mode="edge") if edge else np.pad(lr, missing, mode="constant")


def agreed_scale(own: Scale | None, asked: Scale | None) -> Scale:
    """The network's own scale, or the one asked for. InputError if neither is known or the two
    differ."""
    scale = own if asked is None else asked
    if scale is None:
        raise InputError("the student does not say its scale (it has no spec.scale): give scale.")
    if own not in (None, scale):
        raise InputError(
            f"the student is made for scale {own}, not {scale}: "
            "leave scale out or load another student."
        )
    return scale


@dataclass(eq=False)
class Network:
    """A network that is ready to run: float32 [1, 3, h, w] in [0, 1] -> float32 [1, 3, sh, sw], not
    clamped, for any h, w >= 1.

    An input of a size that the network does not take is padded (`NetworkDescriptor.pad`) and the
    result is cropped. If a reduced precision gives NaN or infinity, this input and all later ones
    run in fp32, and `log` gets one sentence.

        double = NetworkDescriptor("double", 2, 0, pools_globally=False, minimum_size_px=1)
        network = Network(double, lambda lr: lr.repeat(2, axis=2).repeat(2, axis=3))
        assert network(np.zeros((1, 3, 4, 5), np.float32)).shape == (1, 3, 8, 10)
    """

    descriptor: NetworkDescriptor
    run: Runner
    backend: str = "torch"
    precision: str = "fp32"
    make_exact: Callable[[], Runner] | None = None
    """Makes the same network in fp32; None if `run` is in fp32, or if fp32 is not available."""
    log: Callable[[str], None] = print
    tiles_a_call: int = 1
    """Most tiles that one call takes, for `upscaling/strips.py`."""

    @property
    def scale(self) -> Scale:
        return self.descriptor.scale

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        height, width = lr.shape[-2:]
        padded = self.descriptor.pad(lr)
        sr = self.run(padded)
        if self.make_exact and not np.isfinite(sr).all():
            self.log(
                f"{self.precision} gave a result that is not a number: fp32 is used from here on, "
                "which is slower and exact"
            )
            self.run = self.make_exact()
            self.make_exact = None
            self.precision = "fp32"
            sr = self.run(padded)
        expected = (len(lr), 3, padded.shape[-2] * self.scale, padded.shape[-1] * self.scale)
        if sr.shape != expected:
            raise InputError(
                f"{self.descriptor.name} gives {list(sr.shape)} where its scale {self.scale} means "
                f"{list(expected)}: give the scale that it has, or export the model again"
            )
        return sr if padded is lr else sr[..., : height * self.scale, : width * self.scale]


def torch_network(student: TensorFunction, scale: Scale | None = None) -> Network:
    """A torch network as it is, on the device and in the precision of its parameters, without
    gradients. Errors: InputError as `NetworkDescriptor.of`."""
    parameters: Any = getattr(student, "parameters", tuple)
    first = next(iter(parameters()), None)
    device = "cpu" if first is None else first.device
    dtype = None if first is None else first.dtype  # a student in half precision takes no other

    def run(lr: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return student(torch.tensor(lr, dtype=dtype, device=device)).float().cpu().numpy()

    count = tiles_a_call(device, parameters())
    return Network(NetworkDescriptor.of(student, scale), run, tiles_a_call=count)


def tiles_a_call(device: Any, parameters: Iterable[Any]) -> int:
    """Tiles that a torch network with these parameters takes at once on this device."""
    small = sum(parameter.numel() for parameter in parameters) <= LIGHTWEIGHT
    return TILES_ON_A_GPU if small and str(device).startswith("cuda") else 1


@contextmanager
def as_network(student: TensorFunction | Network, scale: Scale | None = None) -> Generator[Network]:
    """The network to upscale with. A torch network is in eval mode inside the block; afterwards
    each of its modules has its own mode again. Errors: InputError as `agreed_scale`."""
    if isinstance(student, Network):
        agreed_scale(student.scale, scale)
        yield student
        return
    modules: Any = getattr(student, "modules", tuple)
    modes = [(module, module.training) for module in modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield torch_network(student, scale)
    finally:
        for module, mode in modes:
            module.training = mode
