"""A student as an OpenVINO model, by way of ONNX, its graph arranged for fewer passes over
memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset14 as ops

from ibsd.inference.exported import METADATA_KEY, NetworkFacts


def write_openvino(
    onnx_model: Path, metadata: str, facts: NetworkFacts, path: Path, int8: bool = False
) -> None:
    """NAME.xml and NAME.bin, weights in fp32 or quantised, input and output as in the ONNX
    model."""
    model = openvino.convert_model(onnx_model)
    if int8:
        from ibsd.export.quantisation import quantised

        model = quantised(model, facts)
    for node in model.get_ordered_ops():
        square_at_once(node)
        sum_of_parts(node)
        round_where_added(node)
    model.set_rt_info(metadata, METADATA_KEY)
    openvino.save_model(model, path, compress_to_fp16=False)


def square_at_once(node: Any) -> None:
    """(a - b) * (a - b) in one pass instead of two."""
    if node.get_type_name() != "Multiply":
        return
    difference = node.input_value(0).get_node()
    if difference.get_type_name() == "Subtract" and node.input_value(1).get_node() == difference:
        node.output(0).replace(
            ops.squared_difference(difference.input_value(0), difference.input_value(1)).output(0)
        )


def round_where_added(node: Any) -> None:
    """A sum that is rounded to 8 bits and also read as it is, taken twice: once for each kind of
    reader.

    Then each rounding is part of its addition; as a pass of its own it takes, with the copies into
    the layout that it wants, three times as long. The terms are swapped, because OpenVINO would
    join two sums that are the same.
    """
    if node.get_type_name() != "FakeQuantize":
        return
    total = node.input_value(0).get_node()
    if total.get_type_name() == "Add" and len(total.output(0).get_target_inputs()) > 1:
        first, second = total.input_values()
        if "Constant" not in (
            each.get_node().get_type_name() for each in (first, second)
        ):  # not a bias
            node.input(0).replace_source_output(ops.add(second, first).output(0))


def sum_of_parts(node: Any) -> None:
    """A 1x1 convolution of joined feature maps, read by nothing else, as a sum of one convolution
    each.

    The sum is taken where each convolution writes, so nothing is joined, which would be a copy.
    Equal up to the order of the sum.
    """
    if node.get_type_name() != "Convolution":
        return
    joined, weight = (each.get_node() for each in node.input_values())
    shape = list(weight.get_output_shape(0)) if weight.get_type_name() == "Constant" else []
    if (
        shape[2:] != [1, 1]
        or joined.get_type_name() != "Concat"
        or len(joined.output(0).get_target_inputs()) > 1
    ):
        return
    widths = [each.get_partial_shape()[1].get_length() for each in joined.input_values()]
    total, end = None, 0
    for part, width in zip(joined.input_values(), widths, strict=True):
        kernels = np.ascontiguousarray(weight.data[:, end : end + width])
        convolved = ops.convolution(part, ops.constant(kernels), [1, 1], [0, 0], [0, 0], [1, 1])
        total, end = convolved if total is None else ops.add(total, convolved), end + width
    assert total is not None
    node.output(0).replace(total.output(0))
