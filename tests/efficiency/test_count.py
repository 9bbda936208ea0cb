"""Costs: counted by hand for the smallest networks, and against the figure that IMDN's paper
states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ibsd.efficiency.count import count_cost, count_exported_cost
from ibsd.students import create_student, load_student
from ibsd.weights import weights_file


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["imdn", "omnisr", "esrt"])
def test_attention_is_counted_and_grows_with_the_picture(name: str):
    small, large = count_cost(name, 2, (32, 32)), count_cost(name, 2, (64, 64))
    assert small.parameters == large.parameters
    ratio = large.multiply_adds / small.multiply_adds
    assert (
        ratio > 4.5 if name == "esrt" else 3.9 < ratio < 4.1
    )  # its tokens attend to a quarter of the picture
    assert large.activations > 3.5 * small.activations


def test_a_shipped_model_costs_what_its_student_costs() -> None:
    """Two counters that share no code."""
    pytest.importorskip("openvino")
    model = weights_file("imdn-small-x4").with_suffix(".onnx")
    options = load_student("imdn-small-x4").spec.options
    assert count_exported_cost(model, 24, 28) == count_cost("imdn", 4, (24, 28), **options)


@pytest.mark.slow
def test_an_export_with_groups_costs_what_the_student_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    from ibsd.export import graph, onnx

    # A graph of one size has the same operations and converts in a fraction of the time.
    monkeypatch.setattr(onnx, "dynamic_sizes", lambda descriptor: None)
    options: dict[str, Any] = {"width": 16, "kernel_size": 3, "num_blocks": 3}
    student, path = create_student("shufflemixer", 3, **options), tmp_path / "a.onnx"
    descriptor = graph.exported_descriptor(student)
    onnx.write_onnx(graph.inference_graph(student), descriptor, "", path)
    height, width = graph.example_input(descriptor).shape[-2:]
    counted = count_exported_cost(path, height, width)
    expected = count_cost("shufflemixer", 3, (height, width), **options)
    assert counted.multiply_adds == expected.multiply_adds
    assert counted.activations == expected.activations
    # Converters fold some parameters.
    assert counted.parameters > 0.99 * expected.parameters


@pytest.mark.parametrize("transposed", [False, True])
def test_an_exported_matrix_product_by_hand(tmp_path: Path, transposed: bool) -> None:
    """[3, 4, 5] times its own transpose at the LR size 4 x 5, or the other way round."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset14 as ops

    data = ops.parameter([1, 3, -1, -1], np.float32)
    product = ops.matmul(data, data, transposed, not transposed)
    openvino.save_model(openvino.Model([product], [data]), tmp_path / "a.xml")
    rows, depth = (5, 4) if transposed else (4, 5)
    cost = count_exported_cost(tmp_path / "a.xml", 4, 5)
    assert cost.activations == 3 * rows * rows
    assert cost.multiply_adds == 3 * rows * rows * depth
    assert cost.parameters == 0
