"""Information that a feature map holds about how its picture was degraded.

`conditional.py` measures the part of a *feature* that HR does not explain. Here the degradation is
measured from the pair, and the estimator predicts it from the features. A patch's signature is the
difference between LR and HR shrunk by averaging: how much fine structure is left, at two sizes, and
the shift of each colour. Per node F_k,

    I_V(F_k -> t) = E[ log q(t | statistics of F_k) ] - E[ log q(t) ],   t = signature(LR, HR)

with both conditionals Laplace and fitted by likelihood: predictive information (Xu et al., ICLR
2020, arXiv:2002.10689), which is 0 when the statistics tell nothing. The statistics are each
channel's mean and standard deviation over the patch, what the degradation probe reads
(`analysis/degradation_probe.py`). Minimised over the student it is an adversary, as in
domain-adversarial training (Ganin et al., JMLR 2016, arXiv:1505.07818), with a measured quantity in
place of a domain's label: one camera is enough to learn from, as its pictures differ in blur and
colour among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.information.conditional import ConditionalLink, PredictiveChain
from ibsd.information.estimator import SPREAD_FLOOR, location_and_spread
from ibsd.types import Scale, require

SIGNATURE_SIZE = 5
HIDDEN = 64
LEVEL = 1 / 255
"""Keeps the logarithms of a flat patch finite: one step of 8 bits."""


def degradation_signature(lr: Tensor, hr: Tensor, scale: Scale) -> Tensor:
    """[N, 3, h, w] and [N, 3, sh, sw] in [0, 1] -> [N, 5, 1, 1], without graph.

    Two logarithms of how much larger the differences between neighbouring pixels are in LR than in
    HR averaged over s x s pixels, on the LR grid and on one half as fine, then the mean difference
    of R, G, B. Check by hand: HR that is LR repeated s x s gives 0.

    Errors: InputError for patches below 4 px, of which the half has no neighbours.
    """
    sides = list(lr.shape[-2:])
    require("given = 'degradation': an LR patch", sides, min(sides) >= 4, "at least 4 px a side")
    with torch.no_grad():
        shrunk = F.avg_pool2d(hr, scale)
        blur = [
            torch.log((roughness(a) + LEVEL) / (roughness(b) + LEVEL))
            for a, b in zip(halves(lr), halves(shrunk), strict=True)
        ]
        colour = (lr - shrunk).mean(dim=(2, 3))
        return torch.cat((torch.stack(blur, dim=1), colour), dim=1)[..., None, None]


def halves(image: Tensor) -> tuple[Tensor, Tensor]:
    return image, F.avg_pool2d(image, 2)


def roughness(image: Tensor) -> Tensor:
    """Mean absolute difference of neighbours, [N, 3, h, w] -> [N]."""
    across = image.diff(dim=-1).abs().mean(dim=(1, 2, 3))
    return across + image.diff(dim=-2).abs().mean(dim=(1, 2, 3))


class DegradationEstimator(nn.Module):
    """(node, [N, C, H, W]) -> Laplace parameters of q(t | its statistics) and of q(t), four of [N,
    5, 1, 1].

    The first is the second plus a correction that starts at 0; the correction's likelihood does not
    train the second.
    """

    def __init__(self, channels: int, floor: float = SPREAD_FLOOR) -> None:
        super().__init__()
        self.floor = floor
        self.prior = nn.Parameter(torch.zeros(1, 2 * SIGNATURE_SIZE))
        self.correction = nn.Sequential(
            nn.Linear(2 * channels, HIDDEN), nn.PReLU(), nn.Linear(HIDDEN, 2 * SIGNATURE_SIZE)
        )
        last = self.correction[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, node: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with torch.autocast(node.device.type, enabled=False):
            node = node.to(torch.promote_types(node.dtype, torch.float32))
            mean = node.mean(dim=(2, 3))
            deviation = ((node - mean[..., None, None]).square().mean(dim=(2, 3)) + 1e-8).sqrt()
            prior = self.prior.expand(len(node), -1)
            both = prior.detach() + self.correction(torch.cat((mean, deviation), dim=1))
            given_node = location_and_spread(both[..., None, None], self.floor)
            return (*given_node, *location_and_spread(prior[..., None, None], self.floor))


class DegradationChain(PredictiveChain):
    """One `DegradationEstimator` per node after F0. It is given the nodes and, as the last map, the
    signature."""

    def __init__(self, channels: int, links: int = 3, floor: float = SPREAD_FLOOR) -> None:
        super().__init__()
        self.estimators = nn.ModuleList(DegradationEstimator(channels, floor) for _ in range(links))

    def links(self, maps: Sequence[Tensor]) -> list[ConditionalLink]:
        """(signature, location and spread given F_k, location and spread given nothing) for each of
        F1, F2, ..."""
        nodes, signature = self.split(maps, "a signature")
        pairs = zip(self.estimators, nodes[1:], strict=True)
        return [(signature, *estimator(node)) for estimator, node in pairs]
