"""Costs: counted by hand for the smallest networks, and against the figure that IMDN's paper
states."""

from __future__ import annotations

import pytest
import torch

from ibsd.efficiency.count import count_cost
from ibsd.efficiency.measure import median_seconds, peak_memory_bytes
from ibsd.students import create_student
from ibsd.types import InputError


@pytest.mark.parametrize(("scale", "billions"), [(2, 158.8), (3, 71.5), (4, 40.9)])
def test_imdn_costs_what_its_paper_says(scale: int, billions: float):
    cost = count_cost("imdn", scale, (720 // scale, -(-1280 // scale)))
    assert round(cost.multiply_adds / 1e9, 1) == billions


def test_a_network_of_plain_convolutions_by_hand():
    width, scale, pixels = 4, 2, 6 * 5
    inner = 6 * 3 + 1  # 3x3 convolutions from width to width
    cost = count_cost("span", scale, (6, 5), width=width)
    kernels = 9 * 3 * width + inner * 9 * width**2 + 4 * width**2 + 9 * width * 3 * scale**2
    assert cost.multiply_adds == kernels * pixels
    assert cost.activations == (width + inner * width + width + 3 * scale**2) * pixels


@pytest.mark.parametrize("scale", [2, 4])
def test_a_network_with_gates_by_hand(scale: int):
    """Narrow IMDN: every convolution's multiplications and outputs; the gates see one pixel."""
    width, blocks, pixels = 8, 3, 6 * 5
    kept, refined = width // 4, width - width // 4
    convolutions = [
        (3, width, 3),
        (blocks * width, width, 1),
        (width, width, 3),
        (width, 3 * scale**2, 3),
    ]
    convolutions += blocks * [
        (width, width, 3),
        (refined, width, 3),
        (refined, width, 3),
        (refined, kept, 3),
        (width, width, 1),
    ]
    gates = blocks * [(width, 1, 1), (1, width, 1)]
    cost = count_cost("imdn", scale, (6, 5), width=width, num_blocks=blocks)
    assert cost.multiply_adds == sum(pixels * i * o * k * k for i, o, k in convolutions) + sum(
        i * o for i, o, _ in gates
    )
    assert cost.activations == sum(pixels * o for _, o, _ in convolutions) + sum(
        o for _, o, _ in gates
    )
    assert cost.parameters == sum(i * o * k * k + o for i, o, k in convolutions + gates)


@pytest.mark.parametrize("name", ["imdn", "omnisr", "esrt"])
def test_attention_is_counted_and_grows_with_the_picture(name: str):
    small, large = count_cost(name, 2, (32, 32)), count_cost(name, 2, (64, 64))
    assert small.parameters == large.parameters
    ratio = large.multiply_adds / small.multiply_adds
    assert (
        ratio > 4.5 if name == "esrt" else 3.9 < ratio < 4.1
    )  # its tokens attend to a quarter of the picture
    assert large.activations > 3.5 * small.activations


def test_measured_time_and_memory_are_positive():
    student = create_student("span", 2, width=8).eval()
    assert median_seconds(student, torch.rand(1, 3, 16, 16), 3) > 0
    assert peak_memory_bytes(student, torch.rand(1, 3, 16, 16)) >= 0
    with pytest.raises(InputError, match="--repeats"):
        median_seconds(student, torch.rand(1, 3, 8, 8), 0)
