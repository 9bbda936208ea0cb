"""What a chain may see of the nodes instead of the nodes themselves: channels in units of their
own, or averages over blocks of pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

VARIANCE_FLOOR = 1e-8
"""Keeps a channel that is constant over the whole batch at 0, with a finite gradient."""


def standardise(node: Tensor) -> Tensor:
    """Each channel with mean 0 and variance 1 over the batch and all pixels, [N, C, H, W] -> the
    same shape, at least fp32.

    Gradients flow through mean and variance too. Nothing that is computed from the result changes
    when a channel is scaled or shifted, so its gradient has no component along either (Euler), and
    a penalty cannot shrink the features. With detached statistics the value would be invariant too,
    but the gradient would push towards smaller features, and harder the smaller they get. Check by
    hand: standardise(3 * node + 1) equals standardise(node).
    """
    node = node.to(torch.promote_types(node.dtype, torch.float32))
    centred = node - node.mean(dim=(0, 2, 3), keepdim=True)
    return centred * torch.rsqrt(
        centred.square().mean(dim=(0, 2, 3), keepdim=True) + VARIANCE_FLOOR
    )


def pool(node: Tensor, block_px: int) -> Tensor:
    """Averages over blocks of `block_px` x `block_px` pixels, [N, C, H, W] -> [N, C, ceil(H /
    block_px), ceil(W / block_px)].

    Blocks at the right and lower border may be smaller; a block as large as the patch gives its
    mean. `block_px` 0 and 1 change nothing.
    """
    if block_px <= 1:
        return node
    return F.avg_pool2d(node, block_px, ceil_mode=True, count_include_pad=False)
