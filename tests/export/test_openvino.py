"""OpenVINO exports: they compute what torch computes, in bf16 too, and their graph is rearranged
without changing it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export import laws
from ibsd.export import export_student
from ibsd.inference.exported import certified_precisions
from ibsd.inference.parity import certificate_picture
from ibsd.weights import weights_file

openvino = pytest.importorskip("openvino")
from ibsd.inference.openvino_backend import has_bf16  # noqa: E402


@pytest.fixture(scope="module")
def model(exported: Callable[[str], Path]) -> Path:
    return exported("openvino")


@pytest.mark.slow
def test_it_gives_what_torch_gives_at_any_size(model: Path) -> None:
    laws.gives_what_torch_gives_at_any_size(model, "openvino")


@pytest.mark.slow
def test_the_certificate_says_what_was_run(model: Path, folder: Path) -> None:
    laws.certificate_says_what_was_run(model, folder / "tiny.safetensors")


@pytest.mark.slow
def test_upscaling_needs_no_torch(model: Path, tmp_path: Path) -> None:
    laws.upscales_without_torch(model, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not has_bf16(), reason="this CPU has no bf16")
def test_shipped_weights_are_certified_in_bf16(tmp_path: Path) -> None:
    """At every size, a single pixel too."""
    pytest.importorskip("onnxscript")
    path, _ = export_student(weights_file("imdn-small-x4"), "openvino", tmp_path / "small.xml")
    assert certified_precisions(path) == {"fp32", "bf16"}


def kinds(model: Any) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


def rearranged(model: Any, change: Callable[[Any], None]) -> Any:
    changed = model.clone()
    for node in changed.get_ordered_ops():
        change(node)
    return changed


def results(model: Any, lr: np.ndarray) -> list[np.ndarray]:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return list(compiled(lr).values())


def test_a_sum_that_is_rounded_and_read_is_taken_twice() -> None:
    """With the same result; a bias stays with its convolution."""
    from openvino import opset14 as ops

    from ibsd.inference.openvino_graph import round_where_added

    data = ops.parameter([1, 3, 4, 5], np.float32)
    limits = [ops.constant(np.float32(value)) for value in (0, 1, 0, 1)]
    total = ops.add(ops.relu(data), ops.sqrt(data))
    biased = ops.add(data, ops.constant(np.float32(0.25)))
    rounded = [ops.fake_quantize(node, *limits, 256) for node in (total, biased)]
    plain = openvino.Model([*rounded, ops.negative(total), ops.negative(biased)], [data])
    changed = rearranged(plain, round_where_added)
    assert [kinds(model).count("Add") for model in (plain, changed)] == [2, 3]
    lr = certificate_picture(4, 5)
    for before, after in zip(results(plain, lr), results(changed, lr), strict=True):
        assert np.array_equal(before, after)


def test_a_square_is_one_operation() -> None:
    from openvino import opset14 as ops

    from ibsd.inference.openvino_graph import square_at_once

    data = ops.parameter([1, 3, 4, 5], np.float32)
    difference = ops.subtract(data, ops.constant(np.float32(0.5)))
    square, other = ops.multiply(difference, difference), ops.multiply(difference, data)
    plain = openvino.Model([square, other], [data])
    changed = rearranged(plain, square_at_once)
    assert kinds(changed).count("SquaredDifference") == 1
    assert kinds(changed).count("Multiply") == 1, "a product of two different terms stays"
    lr = certificate_picture(4, 5)
    for before, after in zip(results(plain, lr), results(changed, lr), strict=True):
        assert np.abs(before - after).max() < 1e-6


@pytest.mark.parametrize("read_again", [False, True])
def test_a_convolution_of_joined_maps_is_a_sum(read_again: bool) -> None:
    """Unless something else reads the joined maps."""
    from openvino import opset14 as ops

    from ibsd.inference.openvino_graph import sum_of_parts

    data = ops.parameter([1, 3, 4, 5], np.float32)
    joined = ops.concat([data, ops.relu(data)], axis=1)
    weights = np.random.default_rng(0).standard_normal((2, 6, 1, 1), np.float32)
    mixed = ops.convolution(joined, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    outputs = [mixed, ops.negative(joined)] if read_again else [mixed]
    plain = openvino.Model(outputs, [data])
    changed = rearranged(plain, sum_of_parts)
    assert kinds(changed).count("Convolution") == (1 if read_again else 2)
    assert kinds(changed).count("Concat") == (1 if read_again else 0)
    lr = certificate_picture(4, 5)
    assert np.abs(results(plain, lr)[0] - results(changed, lr)[0]).max() < 1e-5
