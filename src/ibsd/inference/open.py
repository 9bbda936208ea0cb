"""`open_network`: a weight file or an exported model, as a `Network` on torch, OpenVINO or ONNX
Runtime. Only the torch backend imports torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from ibsd.inference.device import has_cuda, require_device
from ibsd.inference.exported import (
    BACKEND_OF_SUFFIX,
    certified_model,
    certified_precisions,
    exported_name,
)
from ibsd.inference.network import Network
from ibsd.types import InputError
from ibsd.weights import CRISP, SHIPPED, named_or_file, weights_file

PRECISIONS = {
    "torch": ("fp32", "bf16", "fp16"),
    "compiled": ("fp32", "bf16", "fp16"),
    "openvino": ("fp32", "bf16", "int8"),
    "onnx": ("fp32", "int8"),
}
"""The precisions of each backend."""
RUNTIMES = {"openvino": "openvino", "onnx": "onnxruntime"}
"""The package that runs each backend's exported models."""


def open_network(
    weights: str | Path,
    *,
    backend: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    look: float = 0.0,
    log: Callable[[str], None] = print,
) -> Network:
    """The network in a file, ready to run.

    Args:
        weights: a weight file (safetensors, or a published .pth), shipped weights by name, or a
            model of `ibsd export` (.xml or .onnx).
        backend: "torch", "compiled" (torch.compile: fast, after a minute of compiling), "openvino"
            or "onnx". "auto" is the backend of an exported model. For a weight file it is torch if
            torch finds a CUDA device, else the first of OpenVINO and ONNX Runtime that is installed
            and has a certified model of these weights beside them (NAME.xml, NAME.onnx), else
            torch. Shipped weights have one.
        precision: "fp32", "bf16", "fp16" (CUDA) or "int8" (from a model exported with it). "auto"
            is the fastest that the hardware has and that is certified: by the model's certificate,
            or for torch by a small picture when the network is opened.
        device: "auto", "cpu", "cuda" or "cuda:0". CUDA runs with torch only.
        look: from 0, the weights as they are, to 1, the crisp ones of `ibsd.weights.CRISP`; between
            them the mean of both weights, with this share of the crisp. Above 0 only for shipped
            weights that have crisp ones, on OpenVINO or torch.
        log: gets one sentence when the network falls back to fp32.

    Errors: InputError for an unknown name, a file that holds no network, a runtime that is not
    installed, or a precision or device that the machine does not have.
    """
    require_device(device)
    weights = named_or_file(weights)
    if weights.is_dir():
        raise InputError(f"{weights} is a folder where a weight file is expected: name the file")
    if backend not in ("auto", *PRECISIONS):
        raise InputError(f"backend is {backend!r}: choose auto, {', '.join(PRECISIONS)}")
    known = sorted({name for names in PRECISIONS.values() for name in names})
    if precision not in ("auto", *known):
        raise InputError(f"precision is {precision!r}: choose auto, {', '.join(known)}")
    if backend != "auto":
        _check_precision(backend, precision)
    elif look and not installed("openvino") and importlib.util.find_spec("torch"):
        backend = "torch"  # ONNX Runtime cannot mix the weights of two models
    backend, file = chosen_file(weights, backend, precision, device)
    _check_precision(backend, precision)
    towards = crisp_file(weights, file, look)
    network = _opened(file, backend, precision, device, towards)
    network.log = log
    return network


def _check_precision(backend: str, precision: str) -> None:
    if precision not in ("auto", *PRECISIONS[backend]):
        raise InputError(
            f"{backend} has no {precision}: "
            f"choose auto, {', '.join(PRECISIONS[backend])}, or another backend"
        )


def crisp_file(weights: Path, file: Path, look: float) -> tuple[Path, float] | None:
    """The file of the crisp weights, of the same kind as `file`, and their share in the mean. None
    for a look of 0."""
    if not 0 <= look <= 1:
        raise InputError(f"look is {look}: choose a number from 0, faithful, to 1, crisp")
    if not look:
        return None
    for name, crisp in CRISP.items():
        if weights == weights_file(name):
            return weights_file(crisp).with_suffix(file.suffix), look
    raise InputError(
        f"{weights.stem} has no crisp weights to look like: leave out look, or take "
        f"{', '.join(CRISP)}"
    )


def _opened(
    file: Path, backend: str, precision: str, device: str, towards: tuple[Path, float] | None
) -> Network:
    if backend not in RUNTIMES:
        if importlib.util.find_spec("torch") is None:
            raise InputError(
                f"torch is not installed, and {file} needs it here: pip install 'ibsd[train]', or "
                "name shipped weights or a model of ibsd export"
            )
        from ibsd.inference.torch_backend import open_torch

        return open_torch(file, backend == "compiled", precision, device, towards)
    if device.startswith("cuda"):
        raise InputError(
            f"{backend} runs on the CPU here, not on {device}: "
            "choose the torch backend and the weight file"
        )
    if not installed(backend):
        raise InputError(
            f"{RUNTIMES[backend]} is not installed: "
            f"pip install 'ibsd[{backend}]', or choose another backend"
        )
    if backend == "openvino":
        from ibsd.inference.openvino_backend import open_openvino

        return open_openvino(file, precision, certified_precisions(file), towards)
    if towards:
        raise InputError("ONNX Runtime runs no look: pip install openvino, or leave the look out")
    from ibsd.inference.onnx_backend import open_onnx

    return open_onnx(file, precision)


def chosen_file(weights: Path, backend: str, precision: str, device: str) -> tuple[str, Path]:
    """Backend and the file that it reads, as `open_network` chooses them."""
    own = BACKEND_OF_SUFFIX.get(weights.suffix)
    if own:
        if backend not in ("auto", own):
            raise InputError(
                f"{weights} is a model for {own}, not for {backend}: "
                "leave the backend out, or name the weight file"
            )
        return own, weights
    candidates = ("openvino", "onnx") if backend == "auto" else (backend,)
    on_cuda = device.startswith("cuda") or (device == backend == "auto" and has_cuda())
    for name in candidates:
        if name not in RUNTIMES or (on_cuda and precision != "int8"):
            continue
        if backend == name or installed(name):
            model = certified_model(weights, name, precision)
            if model:
                return name, model
    if backend in RUNTIMES or precision == "int8":
        raise _no_model(weights, backend if backend in RUNTIMES else "openvino", precision)
    return ("torch" if backend == "auto" else backend), weights


def _no_model(weights: Path, format: str, precision: str) -> InputError:
    int8 = precision == "int8"
    options = f"--format {format}{' --int8' if int8 else ''}"
    if weights in map(weights_file, SHIPPED):
        # Shipped weights lie in the package, and nothing is written there.
        model = exported_name(Path(weights.stem), format, int8)
        return InputError(
            f"there is no such model of {weights.stem} here: make one with: "
            f"ibsd export {weights.stem} {options} and name that: --weights {model}"
        )
    return InputError(
        f"{weights} has no model for that beside it: make it with: ibsd export {weights} {options}"
    )


def installed(backend: str) -> bool:
    """Whether the runtime of an exported model's backend can be imported."""
    return importlib.util.find_spec(RUNTIMES[backend]) is not None
