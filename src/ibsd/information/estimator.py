"""Estimator of one link: the parameters of a Laplace conditional q(earlier node | later node)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.types import InputError

SPREAD_SCALE = 0.1
SPREAD_FLOOR = 1e-6
"""Published smallest spread."""


class LaplaceEstimator(nn.Module):
    """(later) -> (location, spread): what the later node says of the earlier one, element by
    element.

        mu(f) = conv1x1(PReLU(conv1x1(f))) + s_mu(f)
        b(f)  = 0.1 softplus(conv1x1(PReLU(conv1x1(f))) + s_b(f)) + floor
        s(f)  = <f, g> at each pixel, added to every channel, with g = W mean(f) + bias one C-vector
        per image

    Args:
        channels: C of both nodes.
        floor: smallest spread; the published 1e-6 lets a confident and wrong estimator answer with
            enormous bounds.
        learned_spread: if false the spread is 1 everywhere, and the estimator learns the location
            alone.

    `forward` takes [N, C, H, W] and returns two of that shape in fp32 (or fp64); it computes in
    full precision under autocast, as the spread's reciprocal multiplies every error. Gradients flow
    to the parameters and to `later`. Pooling comes before the kernel's 1x1 convolution, which is
    linear, so both orders give the same g.

    Errors: InputError from `forward` for another number of channels.

    Source: docs/method.md 2.
    """

    def __init__(
        self, channels: int, floor: float = SPREAD_FLOOR, learned_spread: bool = True
    ) -> None:
        super().__init__()
        self.channels = channels
        self.floor = floor
        self.learned_spread = learned_spread
        self.mean = _pointwise_network(channels)
        self.var = _pointwise_network(channels)
        # keys as published
        self.kernel = nn.ModuleDict(
            {name: nn.Sequential(nn.Conv2d(channels, channels, 1)) for name in ("k_mu", "k_var")}
        )

    def forward(self, later: Tensor) -> tuple[Tensor, Tensor]:
        if later.dim() != 4 or later.shape[1] != self.channels:
            raise InputError(
                f"the node is {list(later.shape)}, and the estimator takes "
                f"[N, {self.channels}, H, W]: make it with the channels of the nodes"
            )
        with torch.autocast(later.device.type, enabled=False):
            later = later.to(torch.promote_types(later.dtype, torch.float32))
            pooled = later.mean(dim=(2, 3), keepdim=True)
            location = self.mean(later) + _adaptive_map(later, self.kernel["k_mu"](pooled))
            if not self.learned_spread:
                return location, torch.ones_like(location)
            raw_spread = self.var(later) + _adaptive_map(later, self.kernel["k_var"](pooled))
            return location, positive_spread(raw_spread, self.floor)


def positive_spread(raw: Tensor, floor: float) -> Tensor:
    """0.1 softplus(raw) + floor."""
    return SPREAD_SCALE * F.softplus(raw) + floor


def location_and_spread(raw: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Laplace parameters from the two halves of the channels of [N, 2 C, ...]."""
    location, raw_spread = raw.chunk(2, dim=1)
    return location, positive_spread(raw_spread, floor)


def _pointwise_network(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 1), nn.PReLU(), nn.Conv2d(channels, channels, 1)
    )


def _adaptive_map(features: Tensor, kernel: Tensor) -> Tensor:
    """[N, C, H, W] and [N, C, 1, 1] -> their inner product over channels, [N, 1, H, W]."""
    return torch.einsum("nchw,nc->nhw", features, kernel.flatten(1)).unsqueeze(1)
