"""Information that a later node holds about an earlier one *beyond what the HR image explains*.

The bound of `club.py` penalises all that F_k keeps of F_{k-1}. That includes the image's content,
which L1 needs. The method wants the network to forget the degradation only. Given the HR image,
only that and noise are left to know. So, per link,

    I_V(F_k -> F_{k-1} | HR) = E[ log q(F_{k-1} | F_k, HR) ] - E[ log q(F_{k-1} | HR) ]

with both conditionals Laplace and fitted by likelihood. This is conditional predictive information
within the estimators' family (Xu et al., ICLR 2020, arXiv:2002.10689): finite for a deterministic
network, 0 when the later node adds nothing, unchanged by units, without negatives and so without a
batch size. At the best fit its gradient with fixed estimators is the gradient of the
quantity itself (envelope theorem), which CLUB's is not. It is *not* an upper bound of mutual
information: it sees what this family can read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ibsd.information.chain import sum_of
from ibsd.information.club import Reduction, laplace_nll
from ibsd.information.estimator import SPREAD_FLOOR, location_and_spread
from ibsd.types import InputError

ConditionalLink = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""earlier, location and spread given the later node and HR, location and spread given HR alone;
each [N, C, H, W]."""


class ConditionalEstimator(nn.Module):
    """(later, content) -> Laplace parameters of q(earlier | later, content) and q(earlier |
    content).

    Args:
        channels: C of both nodes.
        content_channels: of the content, [N, content_channels, H, W]: HR folded to the nodes' grid.
        floor: smallest spread.

    The first conditional is the second plus a correction that starts at 0, so that the information
    starts where the later node adds nothing. The correction's likelihood does not train the second
    conditional's output: that one must fit the best it can alone.
    """

    def __init__(self, channels: int, content_channels: int, floor: float = SPREAD_FLOOR) -> None:
        super().__init__()
        self.floor = floor
        self.content = nn.Sequential(
            nn.Conv2d(content_channels, channels, 3, padding=1),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.PReLU(),
        )
        # sees the content itself too, which soon gives a good linear guess
        self.prior = nn.Conv2d(channels + content_channels, 2 * channels, 1)
        self.correction = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * channels, 1),
            nn.PReLU(),
            nn.Conv2d(2 * channels, 2 * channels, 1),
        )
        last = self.correction[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, later: Tensor, content: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(location, spread) given both, then (location, spread) given the content; fp32 (or fp64)
        also under autocast."""
        with torch.autocast(later.device.type, enabled=False):
            later = later.to(torch.promote_types(later.dtype, torch.float32))
            content = content.to(later.dtype)
            explained = self.content(content)
            prior = self.prior(torch.cat((explained, content), dim=1))
            both = prior.detach() + self.correction(torch.cat((later, explained), dim=1))
            given_both = location_and_spread(both, self.floor)
            return (*given_both, *location_and_spread(prior, self.floor))


class PredictiveChain(nn.Module, ABC):
    """Links with two likelihoods: given the later node, and without it."""

    estimators: nn.ModuleList

    def split(self, maps: Sequence[Tensor], last: str) -> tuple[list[Tensor], Tensor]:
        """(nodes, the last map). InputError for another number of nodes."""
        *nodes, given = maps
        count = len(self.estimators)
        if len(nodes) != count + 1:
            needs = f"{count} estimators need {count + 1} nodes and {last}"
            raise InputError(f"{needs}, not {len(nodes)} nodes")
        return nodes, given

    @abstractmethod
    def links(self, maps: Sequence[Tensor]) -> list[ConditionalLink]:
        """Of each link: the target, location and spread given the later node, and without it."""

    def nlls(self, maps: Sequence[Tensor], reduction: Reduction = "mean") -> list[Tensor]:
        """Both negative log-likelihoods of each link, added, in nats per element: scalars."""
        return [
            laplace_nll(target, location, spread, reduction)
            + laplace_nll(target, prior_location, prior_spread, reduction)
            for target, location, spread, prior_location, prior_spread in self.links(maps)
        ]

    def nll(self, maps: Sequence[Tensor], reduction: Reduction = "mean") -> Tensor:
        """Sum over links: what the estimators minimise."""
        return sum_of(self.nlls(maps, reduction))


class ConditionalChain(PredictiveChain):
    """One `ConditionalEstimator` per link. It is given the nodes and, as the last map, the content:
    F0, F1, ..., content."""

    def __init__(
        self, channels: int, content_channels: int, links: int = 3, floor: float = SPREAD_FLOOR
    ) -> None:
        super().__init__()
        self.estimators = nn.ModuleList(
            ConditionalEstimator(channels, content_channels, floor) for _ in range(links)
        )

    def links(self, maps: Sequence[Tensor]) -> list[ConditionalLink]:
        nodes, content = self.split(maps, "HR")
        if len(shapes := {(*node.shape[:1], *node.shape[2:]) for node in maps}) > 1:
            raise InputError(
                f"nodes and HR content must have the same batch and pixels, not {sorted(shapes)}: "
                "given = 'hr' is for nodes of LR's size"
            )
        estimates = [
            estimator(later, content)
            for estimator, later in zip(self.estimators, nodes[1:], strict=True)
        ]
        return [
            (earlier.to(given[0].dtype), *given)
            for earlier, given in zip(nodes[:-1], estimates, strict=True)
        ]


def conditional_information(
    earlier: Tensor, location: Tensor, spread: Tensor, prior_location: Tensor, prior_spread: Tensor
) -> Tensor:
    """mean of log q(earlier | later, HR) - log q(earlier | HR), in nats per element: a scalar with
    gradients to all five.

    Negative where the estimator lags behind. Check by hand: two equal conditionals give 0.
    """
    without = laplace_nll(earlier, prior_location, prior_spread)
    return without - laplace_nll(earlier, location, spread)
