"""IMDN: what the laws of all networks do not say of it."""

from __future__ import annotations

import pytest
import torch

from ibsd.students import create_student
from ibsd.types import InputError


def test_nodes_are_the_first_convolution_and_the_named_blocks():
    student = create_student("imdn", scale=2, width=8, num_blocks=5, node_blocks=(1, 3, 5))
    seen = {}
    for name in ("fea_conv", "IMDB1", "IMDB3", "IMDB5"):
        student.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.__setitem__(name, output)
        )
    _, nodes = student.trace(torch.rand(1, 3, 6, 7))
    for node, name in zip(nodes, ("fea_conv", "IMDB1", "IMDB3", "IMDB5"), strict=True):
        assert node is seen[name], name


@pytest.mark.parametrize("num_blocks", [3, 4, 5, 6, 7, 8, 20])
def test_default_nodes_stand_at_thirds(num_blocks: int):
    student = create_student("imdn", scale=2, width=4, num_blocks=num_blocks)
    assert len(set(student.node_blocks)) == 3
    assert student.node_blocks[-1] == num_blocks
    for k, block in enumerate(student.node_blocks, start=1):
        assert abs(block - num_blocks * k / 3) <= 0.5


def test_receptive_field_is_exact_without_global_pooling():
    student = create_student("imdn", scale=2, width=8, num_blocks=3).double()
    # a gate that ignores the image leaves the convolutions alone
    for name, module in student.named_modules():
        if name.endswith("conv_du.2"):
            torch.nn.init.zeros_(module.weight)
    radius, centre = student.spec.receptive_field_px, 30
    lr = torch.rand(1, 3, 61, 61, dtype=torch.float64, requires_grad=True)
    student(lr)[..., 2 * centre : 2 * centre + 2, 2 * centre : 2 * centre + 2].sum().backward()
    rows = lr.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert int(rows.min()) == centre - radius
    assert int(rows.max()) == centre + radius


def test_a_fresh_network_of_scale_1_changes_nothing():
    student = create_student("imdn", scale=1, width=8, num_blocks=3)
    lr = torch.rand(1, 3, 7, 10)
    assert torch.equal(student(lr), lr)
    torch.nn.init.ones_(student.upsampler[0].bias)
    assert torch.allclose(student(lr), lr + 1)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 5},
        {"scale": "4"},
        {"width": 10},
        {"width": 0},
        {"num_blocks": 2},
        {"node_blocks": ()},
        {"node_blocks": (0, 1)},
        {"node_blocks": (2, 1)},
        {"node_blocks": (1, 1)},
        {"node_blocks": (1, 7)},
        {"wdith": 8},
        {"width": "8"},
        {"node_blocks": "ab"},
    ],
)
def test_wrong_options_are_the_users_mistake(options: dict):
    with pytest.raises(InputError):
        create_student("imdn", **options)
