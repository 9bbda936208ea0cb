"""What a student costs: multiply-adds and activations counted while it runs, seconds and memory
measured here.

Counting runs the network on torch's meta device, at full size within a second and without computing
anything.

- Multiply-adds are half of what `torch.utils.flop_counter` counts: convolutions, matrix products
and attention; not additions,
  normalisations, activation functions or interpolation. This is what papers on super-resolution
  call FLOPs, or "multi-adds".
- Activations are the values that these same operations put out. The NTIRE and AIM challenges on
efficient super-resolution count those of
  convolutions alone; networks with attention have more, the products of all pairs included, though
  a fused kernel never stores these.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from ibsd.students import Student, create_student
from ibsd.system import largest_resident_bytes, resident_bytes
from ibsd.types import InputError, Scale


@dataclass(frozen=True)
class Cost:
    """Of one forward pass of one picture."""

    parameters: int
    multiply_adds: int
    activations: int


class ActivationCounter(TorchDispatchMode):
    """Counts the values put out by every operation that has multiply-adds."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            first = out[0] if isinstance(out, tuple) else out
            self.count += first.numel()
        return out


def count_cost(name: str, scale: Scale, lr_size: tuple[int, int], **options: Any) -> Cost:
    """Cost of a network for an LR picture of this height and width. InputError as
    `create_student`."""
    with torch.device("meta"):
        student, lr = create_student(name, scale, **options).eval(), torch.empty(1, 3, *lr_size)
    multiply_adds, activations = FlopCounterMode(display=False), ActivationCounter()
    with (
        torch.no_grad(),
        multiply_adds,
        activations,
    ):  # in inference mode a convolution would not be seen as one
        student(lr)
    parameters = sum(parameter.numel() for parameter in student.parameters())
    return Cost(parameters, multiply_adds.get_total_flops() // 2, activations.count)


@torch.inference_mode()
def median_seconds(student: Student, lr: Tensor, repeats: int) -> float:
    """Median wall-clock seconds of `repeats` forward passes, after one that is not counted; on a
    GPU, until it has finished."""
    if repeats < 1:
        raise InputError(f"--repeats is {repeats}; it must be at least 1")

    def once() -> float:
        start = time.perf_counter()
        student(lr)
        if lr.is_cuda:
            torch.cuda.synchronize(lr.device)
        return time.perf_counter() - start

    once()
    return statistics.median(once() for _ in range(repeats))


@torch.inference_mode()
def peak_memory_bytes(student: Student, lr: Tensor) -> int:
    """Most memory that one forward pass holds beyond what was there before.

    On a GPU what torch allocates. On a CPU the largest resident size of the process, which never
    falls, less the present one: so ask in a
    process that has done nothing larger.
    """
    if lr.is_cuda:
        torch.cuda.reset_peak_memory_stats(lr.device)
        before = torch.cuda.memory_allocated(lr.device)
        student(lr)
        torch.cuda.synchronize(lr.device)
        return torch.cuda.max_memory_allocated(lr.device) - before
    before = resident_bytes()
    student(lr)
    return max(0, largest_resident_bytes() - before)
