"""Counts against sums done by hand."""

from __future__ import annotations

import pytest
import torch

from ibsd.distillation import IBSD
from ibsd.export.efficiency import counted
from ibsd.students import create_student


@pytest.mark.parametrize("scale", [2, 4])
def test_counts_equal_sums_over_the_layers(scale: int) -> None:
    """Narrow IMDN: every convolution's multiplications twice, and its outputs; the gates see one pixel."""
    width, blocks, height, width_px = 8, 3, 6, 5
    kept, refined = width // 4, width - width // 4
    pixels = height * width_px
    convolutions = [(3, width, 3), (blocks * width, width, 1), (width, width, 3), (width, 3 * scale**2, 3)]
    convolutions += blocks * [(width, width, 3), (refined, width, 3), (refined, width, 3), (refined, kept, 3), (width, width, 1)]
    gates = blocks * [(width, 1, 1), (1, width, 1)]
    student = create_student("imdn", scale, width=width, num_blocks=blocks)
    found = counted(student, height, width_px)
    assert found.flops == 2 * sum(pixels * i * o * k * k for i, o, k in convolutions) + 2 * sum(i * o for i, o, _ in gates)
    assert found.activations == sum(pixels * o for _, o, _ in convolutions) + sum(o for _, o, _ in gates)
    assert found.parameters == sum(i * o * k * k + o for i, o, k in convolutions + gates)


def test_ibsd_costs_nothing_at_inference() -> None:
    plain = create_student("imdn", 4)
    assert counted(IBSD(create_student("imdn", 4)).student) == counted(plain)
    assert counted(plain).parameters == 715_176
    assert next(plain.parameters()).device == torch.device("cpu")
