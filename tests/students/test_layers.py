"""Parts that networks share, against their plain definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ibsd.students.layers import (
    EnhancedSpatialAttention,
    count_blocks,
    pad_to,
    spatial_std,
    thirds,
)


@pytest.mark.parametrize("num_blocks", [3, 4, 5, 6, 7, 20])
def test_thirds_rise_and_end_at_the_last_block(num_blocks: int):
    places = thirds("x", num_blocks)
    assert places == tuple(sorted(set(places)))
    assert all(abs(place - num_blocks * k / 3) <= 0.5 for k, place in enumerate(places, start=1))


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ("b1.w b2.w b3.w", 3),
        ("b2.w b3.w", 0),
        ("b1.w b3.w", 0),
        ("b1.w b2.w b2.other", 2),
        ("other", 0),
    ],
)
def test_blocks_are_counted_where_their_numbers_have_no_gap(keys: str, count: int):
    assert count_blocks(dict.fromkeys(keys.split(), (1,)), r"b(\d+)\.w$", first=1) == count


@pytest.mark.slow
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    multiple=st.integers(1, 4),
    minimum_px=st.integers(1, 6),
)
def test_padding_is_least_and_at_the_bottom_right(
    height: int, width: int, multiple: int, minimum_px: int
):
    x = torch.rand(1, 2, height, width)
    for mode in ("constant", "replicate"):
        padded = pad_to(x, multiple=multiple, minimum_px=minimum_px, mode=mode)
        expected = [max(minimum_px, -(-side // multiple) * multiple) for side in (height, width)]
        assert list(padded.shape[2:]) == expected
        assert torch.equal(padded[..., :height, :width], x)
    assert pad_to(x) is x


def test_padding_goes_on_by_zeros_to_the_multiple_and_by_repetition_to_the_minimum():
    x = torch.ones(1, 1, 1, 1)
    assert pad_to(x, multiple=2, mode="constant").tolist() == [[[[1, 0], [0, 0]]]]
    assert pad_to(x, multiple=2, mode="replicate").tolist() == [[[[1, 1], [1, 1]]]]
    wide = pad_to(x, multiple=2, minimum_px=3, mode="constant")
    assert wide.tolist() == [[[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]]


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 99),
)
def test_spatial_std_is_the_population_one(shape: tuple[int, ...], seed: int):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = (x - x.mean((2, 3), keepdim=True)).square().mean((2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(spatial_std(x), expected)


def test_spatial_std_of_a_flat_map_has_gradient_zero():
    x = torch.full((2, 3, 4, 4), 0.3, requires_grad=True)
    spatial_std(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_spatial_std_sums_half_precision_in_single():
    x = (
        200 + torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    )  # steps of 1 in bf16
    x[..., ::2, :] += 1
    torch.testing.assert_close(
        spatial_std(x).float().flatten(), x.float().std(correction=0).view(1), rtol=4e-3, atol=0
    )


def test_spatial_attention_gates_each_pixel_between_nothing_and_all():
    attention, x = (
        EnhancedSpatialAttention(8, 4, deep=True).double(),
        torch.randn(2, 8, 20, 23).double(),
    )
    gate = (attention(x) / x).detach()
    assert gate.shape == x.shape
    assert 0 < float(gate.min()) < float(gate.max()) < 1
