"""What runs a network: torch, OpenVINO or ONNX Runtime, each behind the same call, and the facts
that a tiler needs.

`open_network` takes a weight file or an exported model and gives a `BackendNetwork`. Only the torch
backend imports torch.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ibsd.inference.exported import (
    BACKEND_OF_SUFFIX,
    NetworkFacts,
    certified_precisions,
    exported_name,
    sibling,
)
from ibsd.types import InputError, Scale
from ibsd.weights import SHIPPED, named_or_file, weights_file

BACKENDS = ("torch", "compiled", "openvino", "onnx")
PRECISIONS = {
    "torch": ("fp32", "bf16", "fp16"),
    "compiled": ("fp32", "bf16", "fp16"),
    "openvino": ("fp32", "bf16", "int8"),
    "onnx": ("fp32", "int8"),
}
MODULES = {"openvino": "openvino", "onnx": "onnxruntime"}

Runner = Callable[[np.ndarray], np.ndarray]
"""float32 [1, 3, h, w] -> float32 [1, 3, sh, sw]; the input has a size that the network takes, and
stays as it is."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """A network made ready by one backend."""

    facts: NetworkFacts
    run: Runner
    precision: str
    exact: Callable[[], Runner] | None = None
    """Makes the same network in fp32; None where it is that already, or cannot be had."""


class BackendNetwork:
    """A network on some backend: float32 [1, 3, h, w] in [0, 1] -> float32 [1, 3, sh, sw], not
    clamped, for any h, w >= 1.

    Inputs of a size that the network does not take are padded at the bottom right and the result is
    cropped: with zeros to its multiple,
    as omnisr does itself, and by replication to its minimum. Where a reduced precision gives what
    is not a number, that tile and all later ones run in fp32, and `log` is told once.
    """

    def __init__(self, backend: str, opened: Opened, log: Log = print) -> None:
        self.backend, self.facts, self.precision = backend, opened.facts, opened.precision
        self._run, self._exact, self._say = opened.run, opened.exact, log

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
        padded = self.facts.padded(lr)
        sr = self._run(padded)
        if self._exact and not np.isfinite(sr).all():
            self._say(
                f"{self.precision} gave what is not a number, so it goes on in fp32: slower, and right"
            )
            self._run, self._exact, self.precision = self._exact(), None, "fp32"
            sr = self._run(padded)
        return sr if padded is lr else sr[..., : height * self.scale, : width * self.scale]


def open_network(
    weights: str | Path,
    *,
    backend: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    log: Log = print,
) -> BackendNetwork:
    """The network in a file, ready to run.

    Args:
        weights: a weight file (safetensors, or a published .pth), shipped weights by name, or a
            model of `ibsd export` (.xml or .onnx).
        backend: "torch", "compiled" (torch.compile, quick after a minute of compiling), "openvino"
            or "onnx". "auto" is what the file is for; for a weight file, the first of its exported
            siblings (NAME.xml, NAME.onnx) that is certified for just these weights and whose
            runtime is installed, else torch.
        precision: "fp32", "bf16", "fp16" (CUDA) or "int8" (from a model exported with it). "auto"
            is the fastest that the hardware has and that is certified: by the model's certificate,
            or for torch by a small picture when the network is opened.
        device: "auto", "cpu", "cuda" or "cuda:0". One of CUDA leaves torch only.
        log: is told, in a sentence, when the result falls back to fp32.

    Errors: InputError for an unknown word, a file that holds no network, a runtime that is not
    installed, or what the hardware lacks.
    """
    weights = named_or_file(weights)
    if backend not in ("auto", *BACKENDS):
        raise InputError(f"backend is {backend!r}: choose auto, {', '.join(BACKENDS)}")
    known = sorted({name for names in PRECISIONS.values() for name in names})
    if precision not in ("auto", *known):
        raise InputError(f"precision is {precision!r}: choose auto, {', '.join(known)}")
    if backend != "auto" and precision not in ("auto", *PRECISIONS[backend]):
        raise InputError(
            f"{backend} has no {precision}: choose auto, {', '.join(PRECISIONS[backend])}, or another backend"
        )
    backend, weights = chosen_file(weights, backend, precision, device)
    if precision not in ("auto", *PRECISIONS[backend]):
        raise InputError(
            f"{backend} has no {precision}: choose auto, {', '.join(PRECISIONS[backend])}, or another backend"
        )
    if backend in ("torch", "compiled"):
        from ibsd.inference.torch_backend import open_torch

        return BackendNetwork(
            backend, open_torch(weights, backend == "compiled", precision, device), log
        )
    if device.startswith("cuda"):
        raise InputError(
            f"{backend} runs on the CPU here, not on {device}: choose the torch backend and the weight file"
        )
    require(backend)
    certified = certified_precisions(weights)
    if backend == "openvino":
        from ibsd.inference.openvino_backend import open_openvino

        return BackendNetwork(backend, open_openvino(weights, precision, certified), log)
    from ibsd.inference.onnx_backend import open_onnx

    return BackendNetwork(backend, open_onnx(weights, precision), log)


def chosen_file(weights: Path, backend: str, precision: str, device: str) -> tuple[str, Path]:
    """Backend and the file that it reads, as `open_network` chooses them."""
    own = BACKEND_OF_SUFFIX.get(weights.suffix)
    if own:
        if backend not in ("auto", own):
            raise InputError(
                f"{weights} is a model for {own}, not for {backend}: leave the backend out, or name the weight file"
            )
        return own, weights
    wanted = ("openvino", "onnx") if backend == "auto" else (backend,)
    for name in wanted:
        if (
            name in MODULES
            and not device.startswith("cuda")
            and (backend == name or installed(name))
        ):
            found = sibling(weights, name, precision)
            if found:
                return name, found
    if backend in MODULES or precision == "int8":
        option = " --int8" if precision == "int8" else ""
        format = backend if backend in MODULES else "openvino"
        if weights in map(
            weights_file, SHIPPED
        ):  # nothing is to be written beside them, into the package
            made = exported_name(Path(weights.stem), format, int8=bool(option))
            raise InputError(
                f"{weights.stem} is here for torch alone: make a model of it with: ibsd export {weights.stem} --format {format}{option} "
                f"and name that: --weights {made}"
            )
        raise InputError(
            f"{weights} has no model for that beside it: make it with: ibsd export {weights} --format {format}{option}"
        )
    return ("torch" if backend == "auto" else backend), weights


def installed(backend: str) -> bool:
    return importlib.util.find_spec(MODULES[backend]) is not None


def require(backend: str) -> None:
    """InputError that names what to install if the backend's runtime is not there."""
    if not installed(backend):
        raise InputError(
            f"{MODULES[backend]} is not installed: pip install 'ibsd[{backend}]', or choose another backend"
        )


def thread_limit() -> int:
    """Threads that the user allows through OMP_NUM_THREADS, as torch reads it; 0 where nothing is
    said."""
    try:
        return max(0, int(os.environ.get("OMP_NUM_THREADS", "")))
    except ValueError:
        return 0
