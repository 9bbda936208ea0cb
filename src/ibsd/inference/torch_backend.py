"""A student on torch, on the CPU or CUDA, in fp32, bf16 or fp16, compiled or not."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ibsd.inference.exported import NetworkFacts
from ibsd.inference.open import Opened, Runner
from ibsd.students import Student, load_student
from ibsd.types import InputError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CERTIFIED_DB = 50.0
"""PSNR to fp32 from which on a reduced precision may be chosen unasked."""


def open_torch(
    path: Path, compiled: bool = False, precision: str = "auto", device: str = "auto"
) -> Opened:
    """The student in a weight file, ready to run. Errors: InputError as `load_student`, or for a
    precision or device that is not here."""
    where = chosen_device(device)
    if (
        compiled
        and where.type == "cpu"
        and not any(
            map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++", "cl")))
        )
    ):
        raise InputError(
            "compiled needs a C++ compiler, and none is found: install g++, or choose the torch backend"
        )
    if precision == "fp16" and where.type != "cuda":
        raise InputError("fp16 runs on CUDA only: choose bf16 or fp32 for the CPU")
    student = load_student(path).to(where)
    return opened_student(
        student, certified_precision(student, where) if precision == "auto" else precision, compiled
    )


def opened_student(student: Student, precision: str = "fp32", compiled: bool = False) -> Opened:
    """A student, which is not changed, on the device of its parameters."""
    exact = None if precision == "fp32" else lambda: torch_runner(student, "fp32")
    return Opened(
        facts_of_student(student), torch_runner(student, precision, compiled), precision, exact
    )


def facts_of_student(student: Student) -> NetworkFacts:
    """The student pads small inputs itself."""
    spec = student.spec
    return NetworkFacts(
        spec.name, spec.scale, spec.receptive_field_px, spec.pools_globally, spec.minimum_size_px
    )


def torch_runner(student: Student, precision: str, compiled: bool = False) -> Runner:
    """A copy of the student in the precision, with memory in the order in which its convolutions
    are quickest."""
    dtype, device = DTYPES[precision], next(student.parameters()).device
    network: nn.Module = (
        copy.deepcopy(student)
        .eval()
        .requires_grad_(False)
        .to(dtype=dtype, memory_format=torch.channels_last)
    )  # pyright: ignore[reportCallIssue]
    call = torch.compile(network) if compiled else network

    def run(lr: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            tensor = torch.tensor(lr).to(
                device=device, dtype=dtype, memory_format=torch.channels_last
            )
            return call(tensor).float().contiguous().cpu().numpy()

    return run


def certified_precision(student: Student, device: torch.device) -> str:
    """The fastest precision of the hardware whose result on a small picture is within
    `CERTIFIED_DB` of fp32's; else fp32."""
    for precision in fast_precisions(device):
        height = max(48, student.spec.minimum_size_px)
        lr = certificate_picture(height, height + 8)
        expected, found = (torch_runner(student, name)(lr) for name in ("fp32", precision))
        if psnr(found, expected) >= CERTIFIED_DB:
            return precision
    return "fp32"


def fast_precisions(device: torch.device) -> tuple[str, ...]:
    if device.type == "cuda":
        return ("fp16", "bf16")
    return (
        ("bf16",)
        if torch.cpu.get_capabilities().get("avx512_bf16")
        or torch.cpu.get_capabilities().get("amx_bf16")
        else ()
    )


def chosen_device(name: str, key: str = "--device") -> torch.device:
    """`auto` is CUDA where there is one. `key` is what errors call the setting."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"{key} is {name!r}; it must be auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{key} is {name!r}, and torch finds no CUDA device here; use cpu or auto")
    return device


def certificate_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture [1, 3, height, width] in [0, 1] with edges, gradients and noise, the same on every
    machine."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    colour = np.array([0.0, 1.0, 2.0])[:, None, None]
    smooth = 0.5 + 0.25 * np.sin(0.21 * x + 0.13 * y + colour)
    edges = 0.2 * (((x // 7 + y // 5) % 2) - 0.5)
    noise = 0.05 * generator.standard_normal((3, height, width))
    return (smooth + edges + noise).clip(0, 1)[None].astype(np.float32)


def psnr(found: np.ndarray, expected: np.ndarray) -> float:
    """In dB at peak 1; inf where equal, nan-safe: -inf where something is not a number."""
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # broken weights give such numbers, and the line below answers for them
        error = float(np.mean((found.astype(np.float64) - expected) ** 2))
    if not np.isfinite(error):
        return -np.inf
    return np.inf if error == 0 else -10 * np.log10(error)
