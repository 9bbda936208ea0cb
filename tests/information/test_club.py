"""The bound and the likelihood: closed forms, symmetries, exact gradients, linear memory."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ibsd.information import club_upper_bound, laplace_nll
from ibsd.information.kernels import eager
from ibsd.information.views import views_upper_bound
from ibsd.types import InputError


def by_definition(
    earlier: Tensor, location: Tensor, spread: Tensor, negatives: str = "all"
) -> Tensor:
    """docs/method.md 3 as it is written, all N^2 pairs in memory; autograd takes |0|' = 0."""
    batch = earlier.shape[0]
    pairs = (location[:, None] - earlier[None]).abs()
    own = (location - earlier).abs()
    mean = pairs.mean(dim=1) if negatives == "all" else (pairs.sum(dim=1) - own) / (batch - 1)
    return ((mean - own) / spread).mean()


def random_link(
    shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    earlier, location = (torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))
    return (
        earlier.requires_grad_(),
        location.requires_grad_(),
        (torch.rand(shape, generator=generator, dtype=dtype) + 0.1).requires_grad_(),
    )


# -- values


def gaussian_link(r: float, batch: int, positions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit Gaussians x, y with correlation r, and the best Laplace conditional of x given y."""
    generator = torch.Generator().manual_seed(7)
    y = torch.randn(batch, 1, 1, positions, generator=generator, dtype=torch.float64)
    x = r * y + math.sqrt(1 - r * r) * torch.randn(
        y.shape, generator=generator, dtype=torch.float64
    )
    return x, r * y, torch.full_like(y, math.sqrt(2 / math.pi) * math.sqrt(1 - r * r))


@pytest.mark.parametrize("r", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("batch", [2, 5, 16])
@pytest.mark.slow
def test_closed_form_of_gaussians(r: float, batch: int):
    link = gaussian_link(r, batch, 200_000 // batch)
    unlimited = math.sqrt((1 + r * r) / (1 - r * r)) - 1
    information = -math.log(1 - r * r) / 2
    tolerance = 0.012 * (1 + unlimited)
    assert float(club_upper_bound(*link)) == pytest.approx(
        (1 - 1 / batch) * unlimited, abs=tolerance
    )
    assert float(club_upper_bound(*link, negatives="others")) == pytest.approx(
        unlimited, abs=2 * tolerance
    )
    assert float(club_upper_bound(*link, negatives="others")) >= information - 2 * tolerance


def test_large_batch_gives_the_number_of_the_method():
    assert float(club_upper_bound(*gaussian_link(0.6, 500, 60))) == pytest.approx(0.458, abs=0.015)


@pytest.mark.slow
@given(batch=st.integers(2, 7), seed=st.integers(0, 99))
def test_others_is_all_times_n_over_n_minus_1(batch: int, seed: int):
    link = random_link((batch, 2, 3, 2), seed)
    ours, others = club_upper_bound(*link), club_upper_bound(*link, negatives="others")
    torch.testing.assert_close(others, ours * batch / (batch - 1))
    torch.testing.assert_close(others, by_definition(*link, negatives="others"))


@given(batch=st.integers(1, 8), seed=st.integers(0, 99))
def test_zero_where_the_later_node_is_ignored(batch: int, seed: int):
    earlier, location, spread = random_link((batch, 3, 2, 2), seed)
    bound = club_upper_bound(
        earlier, location[:1].expand_as(earlier), spread[:1].expand_as(earlier)
    )
    assert abs(float(bound.detach())) < 1e-14


def test_not_zero_where_it_is_not_ignored():
    earlier, _, spread = random_link((4, 3, 2, 2))
    assert float(club_upper_bound(earlier, earlier, spread).detach()) > 0.1  # a perfect estimator
    assert (
        float(club_upper_bound(earlier, earlier.roll(1, 0), spread).detach()) < 0
    )  # one that names another sample's map


def test_one_sample_is_exactly_zero_and_has_no_others():
    link = random_link((1, 3, 4, 5))
    bound = club_upper_bound(*link)
    bound.backward()
    assert float(bound.detach()) == 0
    assert all(float(x.grad.abs().max()) == 0 for x in link)
    with pytest.raises(InputError, match="at least 2"):
        club_upper_bound(*link, negatives="others")


@given(data=st.data())
@pytest.mark.slow
def test_order_of_the_batch_does_not_matter(data: st.DataObject):
    batch = data.draw(st.integers(2, 8))
    order = data.draw(st.permutations(range(batch)))
    link = random_link((batch, 2, 2, 3), batch)
    shuffled = [x.detach()[order].requires_grad_() for x in link]
    ours, theirs = club_upper_bound(*link), club_upper_bound(*shuffled)
    torch.testing.assert_close(ours, theirs)
    for x, y in zip(
        torch.autograd.grad(ours, link), torch.autograd.grad(theirs, shuffled), strict=True
    ):
        torch.testing.assert_close(x[list(order)], y)


@given(factor=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_unit_and_origin_of_the_features_do_not_matter(factor: float, shift: float):
    earlier, location, spread = random_link((5, 2, 2, 2))
    torch.testing.assert_close(
        club_upper_bound(factor * earlier + shift, factor * location + shift, factor * spread),
        club_upper_bound(earlier, location, spread),
    )


@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (2, 1, 6, 1), (4, 2, 1, 9)])
def test_published_bound_is_width_times_the_mean(shape: tuple[int, ...]):
    link = random_link(shape)
    torch.testing.assert_close(
        club_upper_bound(*link, reduction="published"), shape[3] * club_upper_bound(*link)
    )
    pairs = (link[1][:, None] - link[0][None]).abs().mean(dim=1) - (link[1] - link[0]).abs()
    torch.testing.assert_close(
        club_upper_bound(*link, reduction="published"), (pairs / link[2]).sum(dim=3).mean()
    )


@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (1, 1, 1, 1)])
def test_published_likelihood_sums_channels_and_adds_its_constant(shape: tuple[int, ...]):
    earlier, location, spread = random_link(shape)
    channels = shape[1]
    per_element = (
        torch.log(2 * spread)
        + (location - earlier).abs() / spread
        + channels * math.log(2 * math.pi) / 2
    )
    torch.testing.assert_close(
        laplace_nll(earlier, location, spread, reduction="published"), per_element.sum(dim=1).mean()
    )


def test_likelihood_is_that_of_torchs_laplace():
    earlier, location, spread = random_link((3, 2, 4, 4))
    expected = -torch.distributions.Laplace(location, spread).log_prob(earlier).mean()
    torch.testing.assert_close(laplace_nll(earlier, location, spread), expected)
    half = torch.full((1, 1, 1, 1), 0.5)
    assert float(laplace_nll(half, half, half)) == 0


def test_likelihood_is_least_at_the_true_parameters():
    generator = torch.Generator().manual_seed(3)
    uniform = torch.rand(1, 1, 1, 100_000, generator=generator, dtype=torch.float64) - 0.5
    earlier = 0.7 - 0.3 * uniform.sign() * torch.log1p(-2 * uniform.abs())  # Laplace(0.7, 0.3)
    location = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    spread = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    nll = laplace_nll(earlier, location.expand_as(earlier), spread.expand_as(earlier))
    assert float(nll.detach()) == pytest.approx(
        1 + math.log(0.6), abs=0.01
    )  # the entropy of Laplace(0.7, 0.3)
    for gradient in torch.autograd.grad(nll, (location, spread)):
        assert abs(float(gradient)) < 0.02


# -- gradients


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)),
    seed=st.integers(0, 10_000),
    ties=st.booleans(),
)
def test_gradients_equal_autograd_of_the_definition(shape: tuple[int, ...], seed: int, ties: bool):
    link = random_link(shape, seed)
    if ties:  # few distinct values: many differences are exactly 0, the diagonal's among them
        link = (*(x.detach().round().requires_grad_() for x in link[:2]), link[2])
    ours = club_upper_bound(*link)
    theirs = by_definition(*link)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)
    for x, y in zip(
        torch.autograd.grad(3 * ours, link), torch.autograd.grad(3 * theirs, link), strict=True
    ):
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("negatives", ["all", "others"])
def test_gradcheck(negatives: str):
    link = random_link((4, 2, 3, 2))
    assert torch.autograd.gradcheck(
        lambda *x: club_upper_bound(*x, negatives=negatives, reduction="published"), link
    )
    assert torch.autograd.gradcheck(laplace_nll, link)


@pytest.mark.parametrize(
    "wanted",
    [(True, False, False), (False, True, False), (False, False, True), (False, False, False)],
)
def test_only_what_asks_gets_a_gradient(wanted: tuple[bool, ...]):
    link = [
        x.detach().requires_grad_(want)
        for x, want in zip(random_link((3, 2, 2, 2)), wanted, strict=True)
    ]
    bound = club_upper_bound(*link)
    assert bound.requires_grad == any(wanted)
    if any(wanted):
        bound.backward()
    assert tuple(x.grad is not None for x in link) == wanted


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_graph_can_be_walked_twice(dtype: torch.dtype):
    """The backward pass scales its gradients in place; the second walk must not see that."""
    link = random_link((4, 2, 3, 2), dtype=dtype)
    bound = club_upper_bound(*link)
    once = torch.autograd.grad(2 * bound, link, retain_graph=True)
    again = torch.autograd.grad(-6 * bound, link)
    for x, y in zip(once, again, strict=True):
        torch.testing.assert_close(y, -3 * x)


def test_a_second_derivative_is_refused_rather_than_wrong():
    link = random_link((3, 2, 2, 2))
    (gradient,) = torch.autograd.grad(club_upper_bound(*link).square(), link[2], create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(gradient.sum(), link[2])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_computed_in_single(dtype: torch.dtype):
    half = [x.detach().to(dtype).requires_grad_() for x in random_link((6, 3, 5, 4))]
    single = [x.detach().float().requires_grad_() for x in half]
    ours, theirs = club_upper_bound(*half), club_upper_bound(*single)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs)
    for x, y in zip(
        torch.autograd.grad(ours, half), torch.autograd.grad(theirs, single), strict=True
    ):
        assert x.dtype == dtype
        assert torch.equal(x, y.to(dtype))


def test_autocast_changes_neither_value_nor_gradient():
    link = random_link((6, 3, 5, 4), dtype=torch.float32)
    exact = club_upper_bound(*link)
    with torch.autocast("cpu", torch.bfloat16):
        bound = club_upper_bound(*link)
    assert torch.equal(bound, exact)
    for x, y in zip(
        torch.autograd.grad(bound, link), torch.autograd.grad(exact, link), strict=True
    ):
        assert torch.equal(x, y)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_any_memory_layout(layout: torch.memory_format):
    link = random_link((3, 4, 5, 6))
    turned = [x.detach().to(memory_format=layout).requires_grad_() for x in link]
    ours, theirs = club_upper_bound(*turned), club_upper_bound(*link)
    torch.testing.assert_close(ours, theirs)
    for x, y in zip(
        torch.autograd.grad(ours, turned), torch.autograd.grad(theirs, link), strict=True
    ):
        torch.testing.assert_close(x, y)


class LargestTensor(TorchDispatchMode):
    """Remembers the largest result of any operation within."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.mark.parametrize("form", ["eager", ""])
@pytest.mark.parametrize("batch", [8, 32, 64])
@pytest.mark.slow
def test_memory_is_linear_in_the_batch(monkeypatch, batch: int, form: str):
    monkeypatch.setenv("IBSD_BOUND", form)
    link = random_link((batch, 4, 32, 32), dtype=torch.float32)
    with LargestTensor() as largest:
        club_upper_bound(*link).backward()
    # all pairs at once would be batch times the latter
    assert largest.elements <= max(eager.CHUNK_ELEMENTS, link[0].numel())


# -- refusals


def test_options_that_do_not_exist():
    link = random_link((2, 1, 1, 1))
    with pytest.raises(InputError, match="negatives"):
        club_upper_bound(*link, negatives="some")
    for function in (club_upper_bound, laplace_nll):
        with pytest.raises(InputError, match="reduction"):
            function(*link, reduction="sum")


@pytest.mark.parametrize("wrong", [0, 1, 2])
@pytest.mark.parametrize("shape", [(4, 3, 1, 1), (1, 3, 2, 2), (4, 3, 2, 1)])
def test_unequal_shapes_are_refused_not_broadcast(wrong: int, shape: tuple[int, ...]):
    link = [x.detach() for x in random_link((4, 3, 2, 2))]
    link[wrong] = torch.ones(shape, dtype=torch.float64)
    for function in (club_upper_bound, laplace_nll):
        with pytest.raises(ValueError, match="shape"):
            function(*link)


@pytest.mark.parametrize("stray", [0, 1, 2])
def test_tensors_of_two_devices_are_refused_and_end_no_process(stray: int):
    link = [torch.ones(2, 3, 2, 2, device="meta" if k == stray else "cpu") for k in range(3)]
    for function in (club_upper_bound, laplace_nll, views_upper_bound):
        with pytest.raises(InputError, match="lie on cpu and meta"):
            function(*link)


@pytest.mark.parametrize("shape", [(), (0, 3, 2, 2), (4, 3, 0, 2)])
def test_what_has_no_mean_is_refused(shape: tuple[int, ...]):
    for function in (club_upper_bound, laplace_nll, views_upper_bound):
        with pytest.raises(InputError, match="not be empty"):
            function(*[torch.ones(shape)] * 3)
