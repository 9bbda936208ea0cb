"""OpenVINO's graph of a network, arranged for fewer passes over memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ibsd.inference.silent import import_silent

ops: Any = import_silent("openvino.opset14")


def arrange(model: Any) -> None:
    """Changes the model into an equal one, up to rounding, that runs faster."""
    for node in model.get_ordered_ops():
        square_at_once(node)
        sum_of_parts(node)
        round_where_added(node)


def mix(model: Any, other: Any, share: float) -> None:
    """Moves every float constant of the model towards that of another model of the same graph:
    (1 - share) of its own and `share` of the other's. ValueError if the graphs differ.

    Both must be folded, so that no constant is in half precision.
    """
    pairs = list(zip(_constants(model), _constants(other), strict=True))
    for own, others in pairs:
        if own.get_output_shape(0) != others.get_output_shape(0):
            raise ValueError("the graphs differ")
        mean = own.data + np.float32(share) * (others.data - own.data)
        own.output(0).replace(ops.constant(mean).output(0))


def _constants(model: Any) -> list[Any]:
    return [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Constant" and node.get_element_type().to_dtype() == np.float32
    ]


def square_at_once(node: Any) -> None:
    """Replaces (a - b) * (a - b) by one operation, which takes one pass instead of two."""
    if node.get_type_name() != "Multiply":
        return
    difference = node.input_value(0).get_node()
    if difference.get_type_name() == "Subtract" and node.input_value(1).get_node() == difference:
        node.output(0).replace(
            ops.squared_difference(difference.input_value(0), difference.input_value(1)).output(0)
        )


def round_where_added(node: Any) -> None:
    """Computes a sum twice if one reader rounds it to 8 bits and others read it exactly.

    Each rounding is then part of its addition. As a pass of its own, with the copies into its
    layout, it takes three times as long. The terms are swapped in the second sum, because OpenVINO
    would merge two equal sums.
    """
    if node.get_type_name() != "FakeQuantize":
        return
    total = node.input_value(0).get_node()
    if total.get_type_name() != "Add" or len(total.output(0).get_target_inputs()) < 2:
        return
    first, second = total.input_values()
    is_bias = "Constant" in (term.get_node().get_type_name() for term in (first, second))
    if not is_bias:
        node.input(0).replace_source_output(ops.add(second, first).output(0))


def sum_of_parts(node: Any) -> None:
    """Replaces a 1x1 convolution of concatenated feature maps by a sum of one convolution for each
    map, if nothing else reads the concatenation.

    Each convolution adds to the sum where it writes, so the copy that joins the maps goes away.
    Equal up to the order of the sum.
    """
    if node.get_type_name() != "Convolution":
        return
    joined, weight = (source.get_node() for source in node.input_values())
    is_constant = weight.get_type_name() == "Constant"
    kernel = list(weight.get_output_shape(0))[2:] if is_constant else []
    if (
        kernel != [1, 1]
        or joined.get_type_name() != "Concat"
        or len(joined.output(0).get_target_inputs()) > 1
    ):
        return
    maps = joined.input_values()
    widths = [source.get_partial_shape()[1].get_length() for source in maps]
    total: Any = None
    first = 0
    for part, width in zip(maps, widths, strict=True):
        weights = np.ascontiguousarray(weight.data[:, first : first + width])
        convolved = ops.convolution(part, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
        total = convolved if total is None else ops.add(total, convolved)
        first += width
    assert total is not None
    node.output(0).replace(total.output(0))
