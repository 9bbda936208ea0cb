"""How different two pictures' texture is, wherever its grains lie: local autocovariances compared.

Two pictures of the same gravel are far apart pixel by pixel and near here. A lattice is far from
gravel of equal contrast, because it repeats itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ibsd.types import InputError

PERIOD_PX = 4
"""Of an upscaler by four, and so the greatest lag along an axis."""
PERIOD_WEIGHT = 4.0
"""How much more it counts what repeats with the upscaler's grid than the contrast: less, and a
lattice would pay where HR has texture."""
MEAN_PX = 5
"""Side of the mean that is subtracted, so that only what is finer is compared."""
WINDOW_PX = 16
MINIMUM_SIZE_PX = WINDOW_PX + MEAN_PX - 1 + 2 * PERIOD_PX
FLOOR = (2 / 255) ** 2
"""Variance below which texture hardly counts: two levels of 255."""
LAGS = [(0, dx) for dx in range(PERIOD_PX + 1)] + [
    (dy, dx) for dy in range(1, PERIOD_PX + 1) for dx in range(-PERIOD_PX, PERIOD_PX + 1)
]
"""Of a half plane: the other half is the same."""


def autocovariance(images: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 41, h, w]: of the grey picture less its mean over 5 x 5 pixels, the
    product of pixels that lie `(dy, dx)` apart, averaged over windows of 16 x 16 that overlap by
    half. Lags are `LAGS`. Gradients flow."""
    grey = images.mean(1, keepdim=True)
    edge = MEAN_PX // 2
    fine = grey[..., edge:-edge, edge:-edge] - F.avg_pool2d(grey, MEAN_PX, 1)
    height, width = (side - 2 * PERIOD_PX for side in fine.shape[-2:])

    def moved(dy: int, dx: int) -> Tensor:
        top, left = PERIOD_PX + dy, PERIOD_PX + dx
        return fine[..., top : top + height, left : left + width]

    products = torch.cat([moved(0, 0) * moved(*lag) for lag in LAGS], dim=1)
    return F.avg_pool2d(products, WINDOW_PX, WINDOW_PX // 2)


def texture_distance(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean over windows and lags of |C_SR - C_HR| / sqrt((V_SR + FLOOR) (V_HR + FLOOR)), a scalar,
    0 for equal pictures. C are `autocovariance`s, V those of lag 0. Lags of a whole period count
    PERIOD_WEIGHT times. It grows as the ratio of contrasts does: a lattice on a flat wall costs
    more than on gravel.

    sr, hr: [N, 3, H, W], RGB in [0, 1], at least 28 x 28 px. Gradients flow to both. InputError for
    smaller ones. Ours, after the deep correlations of Sendik and Cohen-Or (ACM TOG 2017), on pixels
    instead of features.
    """
    if min(sr.shape[-2:]) < MINIMUM_SIZE_PX:
        raise InputError(
            f"the texture term needs HR patches of at least {MINIMUM_SIZE_PX} x {MINIMUM_SIZE_PX} "
            f"px, not {sr.shape[-2]} x {sr.shape[-1]}: raise data.patch_px"
        )
    a, b = autocovariance(sr), autocovariance(hr)
    weight = [
        PERIOD_WEIGHT if dy % PERIOD_PX == dx % PERIOD_PX == 0 and (dy or dx) else 1.0
        for dy, dx in LAGS
    ]
    shares = a.new_tensor(weight).view(-1, 1, 1) / sum(weight)
    distance = (a - b).abs() / ((a[:, :1] + FLOOR) * (b[:, :1] + FLOOR)).sqrt()
    return (shares * distance).sum(1).mean()
