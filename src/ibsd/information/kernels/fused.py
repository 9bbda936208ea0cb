"""The pairwise mean and its gradients as one Triton kernel: every input is read once from memory,
every gradient written once.

A program takes BLOCK positions and keeps ROWS samples of mu and 1/b in registers, one position a
lane, while all samples of f pass by; f comes from memory once and then from the cache. So sums over
samples need no exchange between lanes. More samples than ROWS are taken in turns; each turn adds to
the gradient of f where the one before, of the same program, has left it. Sums run in a fixed order:
no atomics, equal runs repeat.
"""

# Triton has no type stubs, and a kernel's parameters have no Python types.
# pyright: basic

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]  (optional)
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

BLOCK = 128
MOST_ROWS = 32
"""Five fp32 values a sample and position are live: more rows would leave the registers."""


@triton.jit
def bound_kernel(
    f_at,
    mu_at,
    b_at,
    g_f_at,
    g_mu_at,
    g_b_at,
    values_at,
    n,
    positions,
    scale,
    ROWS: tl.constexpr,  # noqa: N803  (Triton's way with constants)
    TURNS: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """One program a block of positions; `values_at` receives its sum of gains."""
    columns = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < positions
    total = tl.zeros([BLOCK], tl.float32)
    for turn in tl.static_range(TURNS):  # pyright: ignore[reportGeneralTypeIssues]
        rows = turn * ROWS + tl.arange(0, ROWS)
        at = rows[:, None].to(tl.int64) * positions + columns[None, :]
        held = (rows[:, None] < n) & inside[None, :]
        mu = tl.load(mu_at + at, mask=held, other=0.0).to(tl.float32)
        precision = tl.where(
            held, 1.0 / tl.load(b_at + at, mask=held, other=1.0).to(tl.float32), 0.0
        )
        distance = tl.zeros([ROWS, BLOCK], tl.float32)
        signs = tl.zeros([ROWS, BLOCK], tl.float32)
        own = tl.zeros([ROWS, BLOCK], tl.float32)  # mu_n - f_n
        for j in range(n):
            line = j * positions + columns
            f = tl.load(f_at + line, mask=inside, other=0.0).to(tl.float32)
            difference = mu - f[None, :]
            sign = tl.where(difference > 0, 1.0, 0.0) - tl.where(difference < 0, 1.0, 0.0)
            distance += tl.abs(difference)
            signs += sign
            diagonal = rows[:, None] == j
            own = tl.where(diagonal, difference, own)
            pull = tl.sum((tl.where(diagonal, n * 1.0, 0.0) - 1.0) * sign * precision, axis=0)
            if turn > 0:
                pull += tl.load(g_f_at + line, mask=inside, other=0.0)
            if turn == TURNS - 1:
                pull = pull * (scale / n)
            tl.store(g_f_at + line, pull, mask=inside)
        own_sign = tl.where(own > 0, 1.0, 0.0) - tl.where(own < 0, 1.0, 0.0)
        gain = (distance / n - tl.abs(own)) * precision
        total += tl.sum(gain, axis=0)
        tl.store(g_mu_at + at, (signs / n - own_sign) * precision * scale, mask=held)
        tl.store(g_b_at + at, -gain * precision * scale, mask=held)
        tl.debug_barrier()  # the next turn reads what this one has stored
    tl.store(values_at + tl.program_id(0), tl.sum(total, axis=0))


def pairwise_gain(f: Tensor, mu: Tensor, b: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """See `form.pairwise_gain`; fp32, bf16 or fp16 on CUDA (anywhere under Triton's interpreter),
    sums in fp32."""
    batch, positions = f.shape
    gradients = tuple(torch.empty(f.shape, dtype=torch.float32, device=f.device) for _ in range(3))
    programs = triton.cdiv(positions, BLOCK)
    values = torch.empty(programs, dtype=torch.float32, device=f.device)
    rows = min(triton.next_power_of_2(batch), MOST_ROWS)
    scale = 1.0 / f.numel()
    kernel: Any = bound_kernel  # no type checker knows what the decorator makes
    kernel[(programs,)](
        f,
        mu,
        b,
        *gradients,
        values,
        batch,
        positions,
        scale,
        ROWS=rows,
        TURNS=triton.cdiv(batch, rows),
        BLOCK=BLOCK,
        num_warps=4,
    )
    g_f, g_mu, g_b = gradients
    return values.sum() * scale, (g_f, g_mu, g_b)
