"""A student on torch, on the CPU or CUDA, in fp32, bf16 or fp16, compiled or not."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibsd.inference.device import choose_device
from ibsd.inference.network import Network, NetworkDescriptor, Runner, tiles_a_call
from ibsd.inference.parity import CERTIFICATE_PX, CERTIFIED_DB, certificate_picture, psnr_db
from ibsd.students import Student, load_student
from ibsd.students.ema import mixed
from ibsd.types import InputError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_torch(
    path: Path,
    compiled: bool = False,
    precision: str = "auto",
    device: str = "auto",
    towards: tuple[Path, float] | None = None,
) -> Network:
    """The student in a weight file; with `towards`, the weights of a second file of the same
    network have that share in the mean. Errors: InputError as `load_student`, or for a precision or
    device that this machine does not have."""
    torch_device = choose_device(device)
    if compiled and torch_device.type == "cpu" and not _has_compiler():
        raise InputError(
            "compiled needs a C++ compiler, and none is found: "
            "install g++, or choose the torch backend"
        )
    if precision == "fp16" and torch_device.type != "cuda":
        raise InputError("fp16 runs on CUDA only: choose bf16 or fp32 for the CPU")
    student = load_student(path).to(torch_device)
    if towards is not None:
        student = mixed(load_student(towards[0]), student, towards[1])
    if precision == "auto":
        precision = certified_precision(student, torch_device)
    return student_network(student, precision, compiled)


def _has_compiler() -> bool:
    names = (os.environ.get("CXX"), "g++", "clang++", "cl")
    return any(shutil.which(name) for name in names if name)


def student_network(student: Student, precision: str = "fp32", compiled: bool = False) -> Network:
    """A copy of the student in the precision, on the device of its parameters."""

    def exact() -> Runner:
        return _runner(student, "fp32")

    device = next(student.parameters()).device
    return Network(
        NetworkDescriptor.of(student),
        _runner(student, precision, compiled),
        "compiled" if compiled else "torch",
        precision,
        None if precision == "fp32" else exact,
        tiles_a_call=tiles_a_call(device, student.parameters()),
    )


def _runner(student: Student, precision: str, compiled: bool = False) -> Runner:
    """Channels lie innermost in memory, which is the quickest order for convolutions."""
    dtype = DTYPES[precision]
    device = next(student.parameters()).device
    network: Any = copy.deepcopy(student).eval().requires_grad_(False)
    network = network.to(dtype=dtype, memory_format=torch.channels_last)
    compiler: Any = torch
    call = compiler.compile(network) if compiled else network

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
    height = max(CERTIFICATE_PX, student.spec.minimum_size_px)
    lr = certificate_picture(height, height + 8)
    for precision in fast_precisions(device):
        expected, sr = (_runner(student, name)(lr) for name in ("fp32", precision))
        if psnr_db(sr, expected) >= CERTIFIED_DB:
            return precision
    return "fp32"


def fast_precisions(device: torch.device) -> tuple[str, ...]:
    """The reduced precisions that the hardware computes in itself, fastest first."""
    if device.type == "cuda":
        return ("fp16", "bf16")
    capabilities = torch.cpu.get_capabilities()
    return ("bf16",) if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else ()
