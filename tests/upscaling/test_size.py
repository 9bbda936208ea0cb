"""Sizes that are asked for: the proportions stay, and the network runs until it is enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibsd.types import InputError
from ibsd.upscaling import Size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (Size(), (1, 1200, 1600)),
        (Size(scale=1.5), (1, 450, 600)),
        (Size(scale=4), (1, 1200, 1600)),
        (Size(scale=8), (2, 2400, 3200)),
        (Size(scale=16.01), (3, 4803, 6404)),
        (Size(width=1601), (2, 1201, 1601)),
        (Size(height=600), (1, 600, 800)),
        (Size(max_side=200), (0, 150, 200)),
        (Size(megapixels=0.48), (1, 600, 800)),
        (Size(scale=1), (0, 300, 400)),
    ],
)
def test_passes(size: Size, expected: tuple[int, int, int]) -> None:
    assert size.passes(300, 400, scale=4) == expected


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(2, 4), st.floats(0.1, 8))
@pytest.mark.slow
def test_the_network_gives_enough_and_not_too_much(
    height: int, width: int, scale: int, factor: float
) -> None:
    count, *target = Size(scale=factor).passes(height, width, scale)
    given = [side * scale**count for side in (height, width)]
    assert all(out <= made for out, made in zip(target, given, strict=True))
    before = [side * scale ** (count - 1) for side in (height, width)]
    assert count == 0 or any(out > made for out, made in zip(target, before, strict=True))


def test_a_network_that_repairs_runs_once_and_enlarges_nothing() -> None:
    assert Size().passes(300, 400, 1) == (1, 300, 400)
    assert Size(max_side=200).passes(300, 400, 1) == (1, 150, 200)
    with pytest.raises(InputError, match="these weights keep its size"):
        Size(scale=1.5).passes(300, 400, 1)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="--scale, --max-side each say how large"):
        Size(scale=2, max_side=100)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="must be more than 0 and below"):
            Size(megapixels=wrong)
    with pytest.raises(InputError, match="x2 weights go up to 8 times"):
        Size(scale=9).passes(10, 10, 2)
