"""The cost of one forward pass, counted: of a student in torch, and of an exported model in its own
graph. The two counters share no code, so that each can check the other.

- Multiply-adds are those of convolutions, matrix products and attention. Additions, normalisations,
  activation functions and interpolation do not count. Papers on super-resolution call this FLOPs or
  multi-adds; it is half of what `torch.utils.flop_counter` counts.
- Activations are the values that these operations put out. The NTIRE and AIM challenges on
  efficient super-resolution count those of convolutions alone. Networks with attention have more,
  all pairs of a product included, though a fused kernel never stores them.

Imports torch and OpenVINO only when they are used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibsd.inference.silent import import_silent
from ibsd.types import Scale

OUTPUT = (720, 1280)
"""Height and width of the result for which papers state multiply-adds and activations."""
NO_PARAMETERS = {"PRelu", "FakeQuantize"}
"""Operations whose constants (a slope, the ends of a range) no student learns."""


@dataclass(frozen=True)
class InferenceCost:
    """The cost of one forward pass of one image."""

    parameters: int
    """For an exported model, the numbers in its file that are neither slopes nor sizes. Converters
    fold some parameters, and store omnisr's positions as whole matrices. In int8 the scales of the
    weights count too."""
    multiply_adds: int
    activations: int


def count_cost(
    name: str, scale: Scale, lr_size: tuple[int, int] | None = None, **options: Any
) -> InferenceCost:
    """Cost of a student for an LR image of this height and width; by default for `OUTPUT`.

    The student runs on torch's meta device, so nothing is computed and a full-size image takes less
    than a second. Errors: InputError as `create_student`.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import FlopCounterMode, flop_registry

    from ibsd.students import create_student

    class ActivationCounter(TorchDispatchMode):
        count: int = 0

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            if func.overloadpacket in flop_registry:
                first = out if isinstance(out, torch.Tensor) else out[0]
                self.count += first.numel()
            return out

    height, width = lr_size or (math.ceil(side / scale) for side in OUTPUT)
    with torch.device("meta"):
        student = create_student(name, scale, **options).eval()
        lr = torch.empty(1, 3, height, width)
    flops = FlopCounterMode(display=False)
    activations = ActivationCounter()
    # Not inference mode: the counters would not see a convolution as one.
    with torch.no_grad(), flops, activations:
        student(lr)
    parameters = sum(parameter.numel() for parameter in student.parameters())
    return InferenceCost(parameters, flops.get_total_flops() // 2, activations.count)


def count_exported_cost(path: str | Path, height: int, width: int) -> InferenceCost:
    """Cost of a model of `ibsd export` (.xml or .onnx) for an LR image of a size that the model
    takes. OpenVINO reads the model."""
    model = import_silent("openvino").Core().read_model(path)
    model.reshape([1, 3, height, width])
    multiply_adds = activations = parameters = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant":
            parameters += _num_parameters(node)
        depth = _multiply_adds_a_value(node)
        if depth:
            num_values = math.prod(node.get_output_shape(0))
            multiply_adds += num_values * depth
            activations += num_values
    return InferenceCost(parameters, multiply_adds, activations)


def _num_parameters(constant: Any) -> int:
    kind = constant.get_element_type()
    if not (kind.is_real() or kind.bitwidth == 8):
        return 0
    shape = constant.get_output_shape(0)
    readers = {
        reader.get_node().get_type_name() for reader in constant.output(0).get_target_inputs()
    }
    return math.prod(shape) if len(shape) and not readers <= NO_PARAMETERS else 0


def _multiply_adds_a_value(node: Any) -> int:
    """Multiply-adds for each value that the operation puts out; 0 for operations that do not
    count."""
    kind = node.get_type_name()
    if kind == "Convolution":
        return math.prod(list(node.get_input_shape(1))[1:])
    if kind == "GroupConvolution":
        return math.prod(list(node.get_input_shape(1))[2:])
    if kind == "MatMul":
        return list(node.get_input_shape(0))[-2 if node.get_attributes()["transpose_a"] else -1]
    return 0
