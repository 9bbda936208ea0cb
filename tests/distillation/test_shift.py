"""What an upscaler draws moves with the picture, or it is its grid's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.distillation.shift import TAPS, shift_distance, shifted
from ibsd.images.rgb import bicubic

SCALE = 4
DOTS = torch.zeros(1, 1, SCALE, SCALE)
DOTS[..., 0, 0] = 0.1


def waves(down: float = 0.0, right: float = 0.0) -> Tensor:
    """A smooth LR picture, sampled so far from its start."""
    y, x = torch.meshgrid(torch.arange(24) + down, torch.arange(24) + right, indexing="ij")
    return (0.5 + 0.2 * torch.sin(0.2 * x + 0.1 * y)).expand(1, 3, -1, -1)


def with_dots(lr: Tensor) -> Tensor:
    sr = bicubic(lr, SCALE)
    return sr + DOTS.repeat(1, 1, *lr.shape[-2:])


def test_a_shifted_picture_is_what_lies_there() -> None:
    inner = (..., slice(TAPS, -TAPS), slice(TAPS, -TAPS))
    for place in ((0.25, 0.5), (0.0, 0.75), (0.5, 0.0)):
        assert (shifted(waves(), *place) - waves(*place))[inner].abs().max() < 2e-3
    assert torch.allclose(shifted(waves(), 0, 0), waves(), atol=1e-6)
    even = torch.full((1, 3, 9, 7), 0.3)
    assert torch.allclose(shifted(even, 0.3, 0.6), even, atol=1e-6)


@pytest.mark.parametrize("place", [(0, 1), (2, 2), (3, 1)])
def test_what_moves_with_the_picture_is_free_and_dots_of_the_grid_cost_their_size(
    place: tuple[int, int],
) -> None:
    def distance(upscale: Callable[[Tensor], Tensor]) -> float:
        return shift_distance(upscale, waves(), upscale(waves()), *place).item()

    assert distance(lambda lr: bicubic(lr, SCALE)) < 2e-3
    assert distance(with_dots) == pytest.approx(0.1 * 2 / SCALE**2, abs=2e-3)


def test_gradients_reach_sr_alone_and_take_the_dots_away() -> None:
    sr = with_dots(waves()).requires_grad_()
    shift_distance(with_dots, waves(), sr, 1, 2).backward()
    assert sr.grad is not None
    inner = sr.grad[..., 20:-20, 20:-20]
    assert (inner[..., ::4, ::4] > 0).all()  # the dots fall
    assert (inner[..., 1::4, 2::4] < 0).all()  # and rise where the other picture has them
    student = tiny.student(scale=SCALE)
    shift_distance(student, waves(), student(waves()).detach(), 1, 2)
    assert all(parameter.grad is None for parameter in student.parameters())
