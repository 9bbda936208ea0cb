"""The graph that converters get: equal to the student, and padded as the student pads itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tiny
from ibsd.export.graph import (
    dynamic_sizes,
    example_input,
    exported_descriptor,
    inference_graph,
)
from ibsd.inference.parity import certificate_picture, psnr_db
from ibsd.students import STUDENTS, create_student

NARROW: dict[str, dict[str, Any]] = {
    "cdc": {"width": 8, "num_hourglasses": 4},
    "omnisr": {"width": 16, "num_groups": 3},
    "shufflemixer": {"width": 16, "num_blocks": 3},
}


@pytest.mark.slow
@pytest.mark.parametrize("plain_contrast", [False, True])
def test_a_graph_made_for_runtimes_is_the_same(plain_contrast: bool) -> None:
    """Convolutions apart where the student splits, and attention without a variance."""
    student = tiny.student(width=16)
    for lr in (
        certificate_picture(20, 13),
        np.zeros((1, 3, 4, 4), np.float32),
        certificate_picture(1, 1),
    ):
        with torch.inference_mode():
            sr, expected = (
                run(torch.from_numpy(lr)).numpy()
                for run in (inference_graph(student, plain_contrast), student)
            )
        assert psnr_db(sr, expected) > 120


def test_the_student_is_not_changed() -> None:
    student = tiny.student().train()
    before = {key: value.clone() for key, value in student.state_dict().items()}
    inference_graph(student, plain_contrast=True)
    assert student.training and all(weight.requires_grad for weight in student.parameters())
    assert student.state_dict().keys() == before.keys()
    assert all(torch.equal(student.state_dict()[key], value) for key, value in before.items())


@pytest.mark.parametrize("name", NARROW)
def test_padding_is_what_the_network_does_with_odd_sizes_itself(name: str) -> None:
    student = create_student(name, 2, **NARROW[name]).eval()
    descriptor = exported_descriptor(student)
    lr = certificate_picture(33, 26)
    with torch.inference_mode():
        sr, expected = (
            student(torch.from_numpy(picture)).numpy() for picture in (descriptor.pad(lr), lr)
        )
    assert np.abs(sr[..., :66, :52] - expected).max() < 1e-5


@pytest.mark.parametrize("name", STUDENTS)
def test_examples_have_a_size_that_the_network_takes(name: str) -> None:
    descriptor = exported_descriptor(create_student(name, 2, **NARROW.get(name, {})))
    for steps in ((4, 5), (6, 4)):
        height, width = example_input(descriptor, *steps).shape[-2:]
        assert height != width
        assert descriptor.padded_size(height, width) == (height, width)
    assert set(dynamic_sizes(descriptor)) == {2, 3}
