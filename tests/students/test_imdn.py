"""IMDN: what `test_parity.py` and `test_every_student.py` do not say of it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny
from ibsd.students import create_student
from ibsd.students.layers import spatial_std
from ibsd.types import InputError


def test_nodes_are_the_first_convolution_and_the_named_blocks():
    student, seen = (
        create_student("imdn", scale=2, width=8, num_blocks=5, node_blocks=(1, 3, 5)),
        {},
    )
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
    for (
        name,
        module,
    ) in student.named_modules():  # a gate that ignores the image leaves the convolutions alone
        if name.endswith("conv_du.2"):
            torch.nn.init.zeros_(module.weight)
    radius, centre = student.spec.receptive_field_px, 30
    lr = torch.rand(1, 3, 61, 61, dtype=torch.float64, requires_grad=True)
    student(lr)[..., 2 * centre : 2 * centre + 2, 2 * centre : 2 * centre + 2].sum().backward()
    rows = lr.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert int(rows.min()) == centre - radius
    assert int(rows.max()) == centre + radius


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 99),
)
def test_spatial_std_is_the_population_one(shape: tuple[int, ...], seed: int):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = (x - x.mean((2, 3), keepdim=True)).square().mean((2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(spatial_std(x), expected)


def test_spatial_std_of_a_flat_map_has_gradient_zero():
    x = torch.full((2, 3, 4, 4), 0.3, requires_grad=True)
    spatial_std(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_spatial_std_sums_half_precision_in_single():
    x = (
        200 + torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    )  # steps of 1 in bf16
    x[..., ::2, :] += 1
    torch.testing.assert_close(
        spatial_std(x).float().flatten(), x.float().std(correction=0).view(1), rtol=4e-3, atol=0
    )


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 5}, {"scale": "4"}, {"width": 10}, {"width": 0}, {"num_blocks": 2}, {"node_blocks": ()}, {"node_blocks": (0, 1)},
        {"node_blocks": (2, 1)}, {"node_blocks": (1, 1)}, {"node_blocks": (1, 7)}, {"wdith": 8}, {"width": "8"}, {"node_blocks": "ab"},
    ],
)  # fmt: skip
def test_wrong_options_are_the_users_mistake(options: dict):
    with pytest.raises(InputError):
        create_student("imdn", **options)


def test_unknown_name_lists_the_known():
    with pytest.raises(InputError, match=r"imdn"):
        create_student("imnd")


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 4, 8, 8)])
def test_forward_and_trace_refuse_what_is_not_rgb(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="RGB"):
        tiny.student()(torch.rand(shape))
    with pytest.raises(ValueError, match="RGB"):
        tiny.student().trace(torch.rand(shape))


def test_options_rebuild_the_same_network_even_through_json():
    student = create_student("imdn", scale=3, width=8, num_blocks=4, node_blocks=(1, 2, 4))
    again = create_student(student.spec.name, student.spec.scale, **student.spec.options)
    assert again.spec == student.spec
    assert again.node_blocks == (1, 2, 4)
    again.load_state_dict(student.state_dict())
