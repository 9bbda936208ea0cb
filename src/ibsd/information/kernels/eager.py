"""The pairwise mean and its gradients in plain torch operations, chunk by chunk of positions: any
device and dtype, no compiler."""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 17
"""Pairwise differences held at a time: fp32 chunks of half a mebibyte stay in a core's cache, and
memory stays linear in the batch (to N = 362, where the pairs of one position fill a chunk)."""


def pairwise_gain(f: Tensor, mu: Tensor, b: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """See `form.pairwise_gain`."""
    batch, positions = f.shape
    scale = 1.0 / f.numel()
    gradients = (torch.empty_like(f), torch.empty_like(f), torch.empty_like(f))
    total = f.new_zeros(())
    step = max(1, CHUNK_ELEMENTS // (batch * batch))
    for start in range(0, positions, step):
        part = slice(start, min(start + step, positions))
        f_part = f[:, part]
        mu_part = mu[:, part]
        precision = b[:, part].reciprocal()
        difference = mu_part[:, None] - f_part  # [N of mu, N of f, positions]
        own = mu_part - f_part
        gain = (difference.abs().mean(dim=1) - own.abs()) * precision
        sign = difference.sign_()
        own_sign = own.sign_()
        total += gain.sum()
        gradients[1][:, part] = (sign.mean(dim=1) - own_sign) * precision * scale
        with torch.autocast(f.device.type, enabled=False):  # it would sum in half precision
            pull = torch.einsum("njp,np->jp", sign, precision)
        gradients[0][:, part] = (own_sign * precision - pull / batch) * scale
        gradients[2][:, part] = gain.neg_().mul_(precision).mul_(scale)
    return total * scale, gradients
