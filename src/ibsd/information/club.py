"""The two quantities of the method, for a Laplace conditional q(earlier | later) with location
mu(later) and spread b(later).

The likelihood is what an estimator learns by; the contrastive log-ratio upper bound (CLUB: Cheng et
al., ICML 2020, arXiv:2006.12013) is what a student minimises. Mutual information through a
deterministic network of continuous features is not finite: read the bound as a surrogate, in nats,
for how predictable the earlier feature map is from the later one.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from ibsd.information.kernels.form import pairwise_gain
from ibsd.types import InputError, require

Reduction = Literal["mean", "published"]
"""`mean`: nats per element, whatever the shape. `published`: sums as the published code does
(docs/method.md 2 and 3)."""

Negatives = Literal["all", "others"]
"""Which earlier maps of the batch count as unpaired: `all` N of them (published), or the N - 1
`others`."""


def laplace_nll(
    earlier: Tensor, location: Tensor, spread: Tensor, reduction: Reduction = "mean"
) -> Tensor:
    """Negative log-likelihood of the earlier map under q: log(2b) + |earlier - mu| / b, in nats.

    Args:
        earlier, location, spread: [N, C, H, W]; spread > 0.
        reduction: `mean` over all elements; `published`: sum over channels, mean over the rest,
            plus the published constant C^2 log(2 pi) / 2, which moves no gradient.

    Returns: a scalar. Gradients flow to all three; a caller that trains an estimator detaches
    `earlier`. Check by hand: earlier = location and spread = 1/2 give 0.

    Errors: InputError for unequal or empty shapes and an unknown reduction.
    Source: docs/method.md 2.
    """
    check_shapes(earlier, location, spread)
    per_element = torch.log(2 * spread) + (earlier - location).abs() / spread
    if reduction == "mean":
        return per_element.mean()
    check_reduction(reduction)
    channels = earlier.shape[1]
    return per_element.mean() * channels + channels**2 * math.log(2 * math.pi) / 2


def club_upper_bound(
    earlier: Tensor,
    location: Tensor,
    spread: Tensor,
    reduction: Reduction = "mean",
    negatives: Negatives = "all",
) -> Tensor:
    """CLUB: E_joint[log q] - E_marginals[log q], an upper bound of I(earlier; later) where q is the
    true conditional; log(2b) cancels.

        mean over n, c, h, w of  ( (1/N) sum_j |mu_n - f_j|  -  |mu_n - f_n| ) / b_n

    Args:
        earlier: f, [N, C, H, W].
        location, spread: mu and b of the same shape, computed from the later node; spread > 0.
        reduction: `mean` over all elements, in nats per element; `published` sums over the width
            and averages the rest.
        negatives: `all`: j runs over the whole batch, so the value carries a factor (N-1)/N and is
            0 for N = 1; `others`: j != n, which does not depend on how a batch is spread over
            processes and needs N >= 2.

    Returns: a scalar, negative where the estimator lags behind. Gradients flow to all three, by
    their closed form with sign(0) = 0, in the fastest form that the machine has
    (`kernels/form.py`). Memory is linear in N. There are no second derivatives. Check by hand: a
    location and spread that are the same for every n (the later node ignored) give 0.

    Errors: InputError for unequal or empty shapes, an unknown option, or "others" of a batch of 1.
    Source: docs/method.md 3.
    """
    check_shapes(earlier, location, spread)
    check_negatives(negatives)
    batch = earlier.shape[0]
    factor = 1.0
    if negatives == "others":
        if batch < 2:
            raise InputError("club_upper_bound: negatives='others' needs a batch of at least 2")
        factor = batch / (batch - 1)
    if reduction == "published":
        factor *= earlier.shape[-1]
    else:
        check_reduction(reduction)
    bound: Tensor = _PairwiseGain.apply(earlier, location, spread)  # type: ignore[assignment]
    return bound * factor


def check_shapes(earlier: Tensor, location: Tensor, spread: Tensor) -> None:
    shape = earlier.shape
    if not shape == location.shape == spread.shape or not shape or 0 in shape:
        raise InputError(
            "earlier, location and spread must have one shape [N, C, H, W] and not be empty: "
            f"{[tuple(x.shape) for x in (earlier, location, spread)]}"
        )
    # The compiled form would read an address of another device, and the process would die.
    if len(devices := {str(x.device) for x in (earlier, location, spread)}) > 1:
        places = " and ".join(sorted(devices))
        raise InputError(f"earlier, location and spread lie on {places}: move them to one device")


def check_negatives(negatives: str) -> None:
    require("negatives", negatives, negatives in ("all", "others"), "'all' or 'others'")


def check_reduction(reduction: str) -> None:
    require("reduction", reduction, reduction in ("mean", "published"), "'mean' or 'published'")


class _PairwiseGain(torch.autograd.Function):
    """Mean of ((1/N) sum_j |mu_n - f_j| - |mu_n - f_n|) / b_n.

    Value and gradients share the pairwise differences, so the forward pass computes both
    (`kernels/form.py`). The backward pass only scales them: in place, as a second copy would double
    the memory.
    """

    @staticmethod
    def forward(ctx: Any, earlier: Tensor, location: Tensor, spread: Tensor) -> Tensor:
        value, gradients = pairwise_gain(*_flat(earlier, location, spread))
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(earlier, location, spread)
            ctx.gradients = gradients
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, upstream: Tensor
    ) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        gradients = ctx.gradients or pairwise_gain(*_flat(*inputs))[1]
        # They are scaled in place below. A graph that is walked again computes them anew.
        ctx.gradients = None
        return tuple(
            gradient.mul_(upstream).view(x.shape).to(x.dtype) if needed else None
            for gradient, x, needed in zip(gradients, inputs, ctx.needs_input_grad, strict=True)
        )


def _flat(*tensors: Tensor) -> tuple[Tensor, ...]:
    """[N, ...] -> [N, positions], contiguous and without graph."""
    return tuple(x.detach().reshape(x.shape[0], -1).contiguous() for x in tensors)
