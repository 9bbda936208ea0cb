"""The chain against the published estimators, its keys, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import parity
from ibsd.information import MarkovChain, club_upper_bound
from ibsd.types import InputError

CASES = ("information_64", "information_48")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[dict, MarkovChain, list[Tensor]]:
    """(reference, chain with the reference's parameters, nodes with gradients)."""
    reference = parity.REFERENCE[request.param]
    shape = tuple(reference["feature_shape"])
    chain = MarkovChain(shape[1], links=reference["nodes"] - 1)
    assert parity.shapes(chain) == reference["state_dict"]
    parity.with_reference_parameters(chain)
    return (
        reference,
        chain,
        [parity.features(shape, k).requires_grad_() for k in range(reference["nodes"])],
    )


def check_norms(chain: MarkovChain, expected: dict[str, float]) -> None:
    assert {name for name, _ in chain.named_parameters()} == set(expected)
    for name, parameter in chain.named_parameters():
        assert float(parameter.grad.norm()) == pytest.approx(expected[name], rel=1e-9), name


def test_bound_and_all_its_gradients_are_the_published_ones(
    case: tuple[dict, MarkovChain, list[Tensor]],
):
    reference, chain, nodes = case
    bound = chain.upper_bound(nodes, reduction="published")
    bound.backward()
    assert float(bound.detach()) == pytest.approx(reference["upper_bound"], rel=1e-9)
    for node, norm, gradient in zip(
        nodes,
        reference["upper_bound_grad_norm_per_node"],
        reference["upper_bound_grad"],
        strict=True,
    ):
        assert float(node.grad.norm()) == pytest.approx(norm, rel=1e-9)
        parity.check_sampled(node.grad, gradient)
    check_norms(chain, reference["upper_bound_grad_norm_per_parameter"])


def test_likelihood_and_its_gradients_are_the_published_ones(
    case: tuple[dict, MarkovChain, list[Tensor]],
):
    reference, chain, nodes = case
    nll = chain.nll(nodes, reduction="published")
    nll.backward()
    assert float(nll.detach()) == pytest.approx(reference["learning_loss"], rel=1e-9)
    check_norms(chain, reference["learning_loss_grad_norm_per_parameter"])


def chain_and_nodes(channels: int = 4, links: int = 3) -> tuple[MarkovChain, list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        chain = MarkovChain(channels, links)
    return chain, [torch.randn(3, channels, 4, 5, generator=generator) for _ in range(links + 1)]


def test_sums_are_over_links_and_each_link_pairs_neighbours():
    chain, nodes = chain_and_nodes()
    for negatives in ("all", "others"):
        bounds = chain.upper_bounds(nodes, negatives=negatives)
        assert len(bounds) == 3
        torch.testing.assert_close(
            chain.upper_bound(nodes, negatives=negatives), torch.stack(bounds).sum()
        )
        for k, bound in enumerate(bounds):
            torch.testing.assert_close(
                bound, club_upper_bound(nodes[k], *chain.ibs[k](nodes[k + 1]), negatives=negatives)
            )
    torch.testing.assert_close(chain.nll(nodes), torch.stack(chain.nlls(nodes)).sum())


def test_half_precision_nodes_are_widened():
    chain, nodes = chain_and_nodes()
    half = [node.bfloat16() for node in nodes]
    assert chain.upper_bound(half).dtype == torch.float32
    assert torch.equal(chain.upper_bound(half), chain.upper_bound([node.float() for node in half]))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_weights_load(prefix: str):
    ours, theirs = MarkovChain(4), MarkovChain(4)
    ours.load_published({prefix + key: value for key, value in theirs.state_dict().items()})
    for x, y in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize(("channels", "links"), [(5, 3), (4, 2), (4, 4)])
def test_other_weights_are_refused_and_change_nothing(channels: int, links: int):
    chain = MarkovChain(4)
    before = {key: value.clone() for key, value in chain.state_dict().items()}
    with pytest.raises(InputError, match=r"ibs\."):
        chain.load_published(MarkovChain(channels, links).state_dict())
    assert all(torch.equal(value, before[key]) for key, value in chain.state_dict().items())


def test_wrong_nodes_are_refused():
    chain, nodes = chain_and_nodes()
    with pytest.raises(InputError, match="4 nodes, not 3"):
        chain.upper_bound(nodes[:3])
    with pytest.raises(InputError, match="equal shapes"):
        chain.nll([*nodes[:3], nodes[3][..., :2]])


def test_nodes_of_other_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"the estimator takes \[N, 4, H, W\]"):
        MarkovChain(4, links=1).upper_bound([torch.rand(2, 8, 3, 3)] * 2)
    with pytest.raises(InputError, match="links is 0"):
        MarkovChain(4, links=0)
