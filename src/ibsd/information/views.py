"""Bounds that compare views of one photograph, and never two photographs: what they price is the
degradation, not the content."""

from __future__ import annotations

import torch
from torch import Tensor

from ibsd.information.club import check_shapes
from ibsd.information.view import standardise
from ibsd.types import InputError


def views_upper_bound(
    earlier: Tensor, location: Tensor, spread: Tensor, num_views: int = 2
) -> Tensor:
    """CLUB with negatives from the other views of the same photograph only.

        mean over n, c, h, w of  ( mean over views j of n's photograph, j != n, of |mu_n - f_j|
                                   -  |mu_n - f_n| ) / b_n

    Content is the same in all views, so that what is left is what the later node tells of the
    degradation that the earlier one shows.

    Args:
        earlier: f, [N, C, H, W]; row k and row k + N / num_views show one photograph.
        location, spread: mu and b of the same shape, from the later node; spread > 0.

    Returns: a scalar in nats per element. Gradients flow to all three. Check by hand: equal views
    give 0.

    Errors: InputError for unequal or empty shapes, under 2 views, or a batch they do not divide.
    Source: Cheng et al., ICML 2020, arXiv:2006.12013, with this choice of negatives ours.
    """
    check_shapes(earlier, location, spread)
    check_views(len(earlier), num_views)
    rows = len(earlier) // num_views
    others = [(location - earlier.roll(k * rows, dims=0)).abs() for k in range(1, num_views)]
    away = torch.stack(others).mean(dim=0)
    return ((away - (location - earlier).abs()) / spread).mean()


def two_view_bound(features: Tensor, log_spread: Tensor, num_views: int = 2) -> Tensor:
    """Upper bound of I(Z; view | other view), up to a constant: how far Z of one view is from what
    Z of the other predicts.

        mean over n, c, h, w of  |z_n - stop(z_m)| / b_c + log(2 b_c),  m the other view of n

    Every view predicts the other, so that the term is symmetric. Features are standardised here,
    with gradients, so that smaller features gain nothing.

    Args:
        features: Z, [N, C, H, W], rows as in `views_upper_bound`.
        log_spread: log b, [C], learned by the same loss on detached features.

    Returns: a scalar in nats per element. Gradients flow to `features` and to `log_spread`.
    Source: Federici et al., ICLR 2020, arXiv:2002.07017, with a Laplace and one spread a channel.
    """
    check_views(len(features), num_views)
    standard = standardise(features)
    rows = len(features) // num_views
    spread = log_spread.exp().view(1, -1, 1, 1)
    parts = [
        (standard - standard.detach().roll(k * rows, dims=0)).abs() / spread
        for k in range(1, num_views)
    ]
    return torch.stack(parts).mean() + (log_spread + torch.log(torch.tensor(2.0))).mean()


def view_statistics_distance(
    features: Tensor, frequencies: Tensor, phases: Tensor, num_views: int = 2
) -> Tensor:
    """How far the statistics of Z differ between views: per-channel mean, covariance of the
    channels, and the mean of random Fourier features.

        mean (mean_a - mean_b)^2 + mean (cov_a - cov_b)^2 + mean (E phi(z_a) - E phi(z_b))^2,
        phi(z) = sqrt(2) cos(W z + p),  means over entries and photographs

    Args:
        features: Z, [N, C, H, W], rows as in `views_upper_bound`; standardised here, with
            gradients.
        frequencies: W, [K, C].
        phases: p, [K], in 0 to 2 pi.

    Returns: a scalar. Gradients flow to `features` in both views. Check by hand: equal views give
    0.
    Source: Wang et al., CVPR 2024, arXiv:2402.18929, with these three statistics.
    """
    check_views(len(features), num_views)
    z = standardise(features).flatten(2)  # [N, C, P]
    mean = z.mean(dim=2)
    centred = z - mean.unsqueeze(2)
    covariance = centred @ centred.transpose(1, 2) / z.shape[2]
    angles = torch.einsum("kc,ncp->nkp", frequencies, z) + phases.view(1, -1, 1)
    fourier = (2**0.5 * angles.cos()).mean(dim=2)
    rows = len(features) // num_views
    distances = [
        (statistic - statistic.roll(rows, dims=0)).square().mean()
        for statistic in (mean, covariance, fourier)
    ]
    return torch.stack(distances).sum()


def check_views(rows: int, num_views: int) -> None:
    if num_views < 2:
        raise InputError("this term compares two views of each photograph: set data.views = 2")
    if rows % num_views:
        raise InputError(f"a batch of {rows} rows does not hold {num_views} views of each place")
