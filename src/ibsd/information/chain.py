"""The links of a Markov chain of feature maps, F0 -> F1 -> F2 -> F3, each with its own
estimator."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ibsd.information.club import Negatives, Reduction, club_upper_bound, laplace_nll
from ibsd.information.estimator import SPREAD_FLOOR, LaplaceEstimator
from ibsd.types import InputError, require


class MarkovChain(nn.Module):
    """One estimator per link (F_{k-1}, F_k), k = 1 .. links.

    Args:
        channels: C of every node.
        links: how many, at least 1; needs `links` + 1 nodes.
        floor: smallest spread of the estimators.
        learned_spread: as for `LaplaceEstimator`.
        shuffled: whether each later node is paired with the earlier one of another image. Nothing
            can then be learnt of the pair: the control that tells information from the rest.

    Which gradients flow is the caller's choice. `nll` on detached nodes trains the estimators.
    `upper_bound` with the estimators' parameters held fixed reaches the student through every node.

    All methods take the nodes earliest first, each [N, C, H, W]. Bounds and likelihoods are scalars
    in nats per element (`reduction` and `negatives` as for `club_upper_bound`).

    Errors: InputError for another number of nodes, unequal shapes, another number of channels and
    unknown options.

    Source: docs/method.md 2 and 3.
    """

    def __init__(
        self,
        channels: int,
        links: int = 3,
        floor: float = SPREAD_FLOOR,
        shuffled: bool = False,
        learned_spread: bool = True,
    ) -> None:
        super().__init__()
        require("links", links, links >= 1, "at least 1")
        self.shuffled = shuffled
        # `ibs` is the published key
        self.ibs = nn.ModuleList(
            LaplaceEstimator(channels, floor, learned_spread) for _ in range(links)
        )

    def links(self, nodes: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(earlier, location, spread) of each link, each [N, C, H, W] in fp32 or fp64."""
        count = len(self.ibs)
        if len(nodes) != count + 1:
            raise InputError(f"a chain of {count} links needs {count + 1} nodes, not {len(nodes)}")
        if len(shapes := {tuple(node.shape) for node in nodes}) > 1:
            raise InputError(f"the nodes of a chain must have equal shapes, not {sorted(shapes)}")
        earlier_nodes = [node.roll(1, dims=0) if self.shuffled else node for node in nodes[:-1]]
        estimates = [estimator(later) for estimator, later in zip(self.ibs, nodes[1:], strict=True)]
        return [
            (earlier.to(location.dtype), location, spread)
            for earlier, (location, spread) in zip(earlier_nodes, estimates, strict=True)
        ]

    def upper_bounds(
        self, nodes: Sequence[Tensor], reduction: Reduction = "mean", negatives: Negatives = "all"
    ) -> list[Tensor]:
        """CLUB bound of each link."""
        return [
            club_upper_bound(*link, reduction=reduction, negatives=negatives)
            for link in self.links(nodes)
        ]

    def upper_bound(
        self, nodes: Sequence[Tensor], reduction: Reduction = "mean", negatives: Negatives = "all"
    ) -> Tensor:
        """Sum over links of the CLUB bound."""
        return sum_of(self.upper_bounds(nodes, reduction, negatives))

    def nlls(self, nodes: Sequence[Tensor], reduction: Reduction = "mean") -> list[Tensor]:
        """Negative log-likelihood of each link."""
        return [laplace_nll(*link, reduction=reduction) for link in self.links(nodes)]

    def nll(self, nodes: Sequence[Tensor], reduction: Reduction = "mean") -> Tensor:
        """Sum over links of the negative log-likelihood: what the estimators minimise."""
        return sum_of(self.nlls(nodes, reduction))

    def load_published(self, state_dict: dict[str, Tensor]) -> None:
        """Takes the published estimators' weights, `ibs.K.mean.0.weight` and so on; a `module.`
        prefix is dropped. InputError for other keys or shapes."""
        ours = self.state_dict()
        theirs = {key.removeprefix("module."): value for key, value in state_dict.items()}
        if wrong := sorted(
            key
            for key in ours.keys() | theirs.keys()
            if key not in ours or key not in theirs or ours[key].shape != theirs[key].shape
        ):
            raise InputError(f"not the weights of this chain: {', '.join(wrong[:3])} do not fit")
        self.load_state_dict(theirs)


def sum_of(scalars: Sequence[Tensor]) -> Tensor:
    total = scalars[0]
    for scalar in scalars[1:]:
        total = total + scalar
    return total
