"""What every student does with its input, and how it is described."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import tiny
from ibsd.config.parsing import checked_arguments
from ibsd.students import Student, create_student
from ibsd.students.student import Shapes, StudentSpec
from ibsd.types import InputError


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 4, 8, 8)])
def test_forward_and_trace_refuse_what_is_not_rgb(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="RGB"):
        tiny.student()(torch.rand(shape))
    with pytest.raises(InputError, match="RGB"):
        tiny.student().trace(torch.rand(shape))


def test_8_bit_values_are_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"not torch.uint8: divide 8-bit values by 255"):
        tiny.student()(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_options_rebuild_the_same_network_even_through_json():
    student = create_student("imdn", scale=3, width=8, num_blocks=4, node_blocks=(1, 2, 4))
    again = create_student(student.spec.name, student.spec.scale, **student.spec.options)
    assert again.spec == student.spec
    assert again.node_blocks == (1, 2, 4)
    again.load_state_dict(student.state_dict())


def test_a_spec_is_of_a_scale_that_there_is():
    with pytest.raises(InputError, match="scale is 5; it must be 1, 2, 3 or 4"):
        StudentSpec(name="x", scale=5, channels=1, receptive_field_px=1, pools_globally=False)


class Unannotated(Student):
    """Its author forgot the types."""

    name = "unannotated"

    def __init__(self, scale, width=8):
        super().__init__()

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        return lr, ()

    @staticmethod
    def detect(shapes: Shapes) -> None:
        return None


def test_a_constructor_without_annotations_is_one_sentence():
    with pytest.raises(InputError, match=r"student\.options\.width.*annotate"):
        checked_arguments(Unannotated, {"width": 8}, "student.options")
