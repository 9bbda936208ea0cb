"""Which form computes the pairwise mean: a static rule of device, dtype and batch, never a timing,
so that runs repeat.

    triton     fp32 on CUDA, N <= 128, where triton is installed (torch's CUDA wheels bring it)
    compiled   fp32 on the CPU, where there is a C compiler
    eager      everything else, and in graphs of torch.compile: plain torch operations

All give the same value and gradients within rounding, ties included. The environment variable
IBSD_BOUND=eager keeps to plain torch.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from ibsd.information.kernels import compiled, eager

Form = Literal["triton", "compiled", "eager"]

TRITON_LARGEST_BATCH = 128


def bound_form(
    device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, batch: int = 16
) -> Form:
    """The form that `club_upper_bound` takes here. `dtype` is what it computes in: fp32 for
    half-precision inputs."""
    if dtype != torch.float32 or os.environ.get("IBSD_BOUND") == "eager":
        return "eager"
    kind = torch.device(device).type
    if kind == "cuda" and batch <= TRITON_LARGEST_BATCH and has_triton():
        return "triton"
    if kind == "cpu" and compiled.function() is not None:
        return "compiled"
    return "eager"


def pairwise_gain(f: Tensor, mu: Tensor, b: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Mean over n and p of ((1/N) sum_j |mu_n - f_j| - |mu_n - f_n|) / b_n, and its gradients to f,
    mu and b.

        d/df_j  = sign(mu_j - f_j) / b_j - (1/N) sum_n sign(mu_n - f_j) / b_n
        d/dmu_n = ((1/N) sum_j sign(mu_n - f_j) - sign(mu_n - f_n)) / b_n
        d/db_n  = -gain_n / b_n
        all divided by the number of elements

    Args:
        f, mu, b: [N, positions], contiguous, on one device; half precision is computed in fp32.

    Returns: a scalar and three [N, positions], in fp32 (or fp64), without graph; sign(0) = 0.
    """
    dtype = torch.promote_types(
        torch.promote_types(f.dtype, mu.dtype), torch.promote_types(b.dtype, torch.float32)
    )
    # A graph's tensors, and those of subclasses, may have no memory that a kernel could read.
    plain = not torch.compiler.is_compiling() and all(
        type(x) is Tensor and x.data_ptr() for x in (f, mu, b)
    )
    form = bound_form(f.device, dtype, f.shape[0]) if plain else "eager"
    if form == "triton":
        from ibsd.information.kernels import fused

        return fused.pairwise_gain(f, mu, b)
    f, mu, b = (x.to(dtype) for x in (f, mu, b))
    return compiled.pairwise_gain(f, mu, b) if form == "compiled" else eager.pairwise_gain(f, mu, b)


@cache
def has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
