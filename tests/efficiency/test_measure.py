"""Counts of exported graphs against those of the student in torch: two counters that share no
code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ibsd.efficiency.count import count_cost, count_exported_cost
from ibsd.export import export_student, save_student
from ibsd.students import create_student

pytest.importorskip("openvino")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("imdn", {"width": 16, "num_blocks": 3}, (17, 12)),
        ("shufflemixer", {"width": 16, "num_blocks": 3}, (17, 12)),  # convolutions in groups
        ("omnisr", {"width": 16, "num_groups": 3}, (24, 32)),  # matrix products
    ],
)
def test_an_export_costs_what_the_student_costs(
    tmp_path: Path, name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    pytest.importorskip("onnxscript")
    save_student(create_student(name, 3, **options), tmp_path / "a.safetensors")
    model, _ = export_student(tmp_path / "a.safetensors", "onnx")
    found, expected = count_exported_cost(model, *size), count_cost(name, 3, size, **options)
    assert (found.multiply_adds, found.activations) == (
        expected.multiply_adds,
        expected.activations,
    )
    assert name != "imdn" or found.parameters == expected.parameters
    assert (
        found.parameters > 0.99 * expected.parameters
    )  # converters fold some, and store omnisr's positions as the matrices made of them
