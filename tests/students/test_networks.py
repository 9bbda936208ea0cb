"""What is special about a network, against its plain definition. The laws that all keep are in
`test_every_student.py`."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.students import create_student
from ibsd.students.cdc import CDC
from ibsd.students.esrt import SEGMENTS, SegmentAttention
from ibsd.students.layers import EnhancedSpatialAttention, thirds
from ibsd.students.omnisr import HEADS, WINDOW, ChannelAttention, PixelAttention, relative_positions
from ibsd.students.rfdn import RFDN
from ibsd.students.shufflemixer import GROUPS, SplitMixing
from ibsd.students.span import SPAN, MergeableConv


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("num_blocks", [3, 4, 5, 6, 7, 20])
def test_thirds_rise_and_end_at_the_last_block(num_blocks: int):
    places = thirds("x", num_blocks)
    assert places == tuple(sorted(set(places)))
    assert all(abs(place - num_blocks * k / 3) <= 0.5 for k, place in enumerate(places, start=1))


def test_rfdn_runs_block_four_three_times_and_five_and_six_never():
    student, calls = RFDN(2, width=4), []
    for k in range(1, 7):
        student.get_submodule(f"B{k}").register_forward_hook(
            lambda module, inputs, output, k=k: calls.append(k)
        )
    student(torch.rand(1, 3, 4, 4))
    assert calls == [1, 2, 3, 4, 4, 4]


def test_spatial_attention_gates_each_pixel_between_nothing_and_all():
    attention, x = EnhancedSpatialAttention(8, 4, deep=True).double(), noise(2, 8, 20, 23)
    gate = (attention(x) / x).detach()
    assert gate.shape == x.shape
    assert 0 < float(gate.min()) < float(gate.max()) < 1


# -- Omni-SR: both attentions against their definition, pixel by pixel
# -------------------------------------------------------------------


def members(partition: str, height: int, width: int) -> list[list[tuple[int, int]]]:
    """Pixels that attend to each other, in reading order of their places."""
    rows, columns = height // WINDOW, width // WINDOW
    inside = [(a, b) for a in range(WINDOW) for b in range(WINDOW)]
    if partition == "window":
        return [
            [(i * WINDOW + a, j * WINDOW + b) for a, b in inside]
            for i in range(rows)
            for j in range(columns)
        ]
    return [
        [(a * rows + i, b * columns + j) for a, b in inside]
        for i in range(rows)
        for j in range(columns)
    ]


@pytest.mark.parametrize("partition", ["window", "grid"])
def test_pixel_attention_is_softmax_attention_within_each_group(partition: str):
    torch.manual_seed(0)
    width, height, columns = 8, 16, 24
    attention, x = PixelAttention(width, partition).double(), noise(2, height, columns, width)
    out = attention(x)
    table = attention.rel_pos_bias(relative_positions())
    for group in members(partition, height, columns)[:4]:
        rows, cols = zip(*group, strict=True)
        q, k, v = attention.to_qkv(x[1, list(rows), list(cols)]).chunk(3, dim=-1)
        heads = []
        for head in range(HEADS):
            part = slice(head * width // HEADS, (head + 1) * width // HEADS)
            likeness = q[:, part] @ k[:, part].T / (width // HEADS) ** 0.5 + table[..., head]
            heads.append(likeness.softmax(dim=-1) @ v[:, part])
        torch.testing.assert_close(
            out[1, list(rows), list(cols)], attention.to_out(torch.cat(heads, dim=-1))
        )


def test_relative_positions_depend_on_the_difference_alone_and_use_the_whole_table():
    table = relative_positions()
    assert set(table.flatten().tolist()) == set(range((2 * WINDOW - 1) ** 2))
    assert int(table[0, 9]) == int(table[9, 18])  # one down and one to the right
    assert int(table[0, 9]) != int(table[9, 0])


@pytest.mark.parametrize("partition", ["window", "grid"])
def test_channel_attention_is_softmax_of_cosines_within_each_head(partition: str):
    torch.manual_seed(0)
    width, height, columns = 8, 16, 24
    attention, x = ChannelAttention(width, partition).double(), noise(1, height, columns, width)
    torch.nn.init.uniform_(attention.temperature, 0.5, 3)
    out = attention(x)
    qkv = (
        attention.qkv_dwconv(attention.qkv(x))[0]
        .permute(2, 0, 1)
        .reshape(3, HEADS, width // HEADS, height, columns)
    )
    mixed = torch.zeros(width, height, columns, dtype=torch.float64)
    for a in range(2 if partition == "window" else WINDOW):
        for b in range(3 if partition == "window" else WINDOW):
            if partition == "window":
                where = (slice(a * WINDOW, (a + 1) * WINDOW), slice(b * WINDOW, (b + 1) * WINDOW))
            else:
                where = (slice(a, None, WINDOW), slice(b, None, WINDOW))
            q, k, v = qkv[(..., *where)].flatten(3)
            cosines = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(1, 2)
            result = (cosines * attention.temperature).softmax(dim=-1) @ v
            mixed[(slice(None), *where)] = result.reshape(width, *mixed[(0, *where)].shape)
    torch.testing.assert_close(out[0], attention.project_out(mixed.permute(1, 2, 0)))


# -- CDC
# ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_cdc_gives_the_mean_of_three_pictures_weighted_by_its_maps(scale: int):
    student, lr = CDC(scale, width=4, num_hourglasses=4), torch.rand(2, 3, 9, 20)
    sr, pictures, maps = student.components(lr)
    assert sr.shape == (2, 3, 9 * scale, 20 * scale)
    assert pictures.shape == maps.shape == (2, 3, 3, 9 * scale, 20 * scale)
    torch.testing.assert_close(maps.sum(dim=1), torch.ones_like(sr))
    assert float(maps.detach().min()) > 0
    torch.testing.assert_close(sr, (maps * pictures).sum(dim=1))
    assert torch.equal(sr, student(lr))


# -- ESRT
# ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 3, 4, 7, 12, 14])
def test_segment_attention_lets_tokens_see_their_quarter_alone(length: int):
    torch.manual_seed(0)
    attention = SegmentAttention(144).double()
    x = noise(1, length, 144).requires_grad_()
    out = attention(x)
    segment = length // SEGMENTS
    group = [min(k // segment, SEGMENTS) if segment else SEGMENTS for k in range(length)]
    for k in range(length):
        (gradient,) = torch.autograd.grad(out[0, k].square().sum(), x, retain_graph=True)
        seen = gradient[0].abs().sum(dim=-1) > 0
        assert seen.tolist() == [other == group[k] for other in group]


# -- ShuffleMixer
# -------------------------------------------------------------------------------------------------------------------------


def test_split_mixing_changes_half_the_channels_and_shuffles_all():
    mixing, x = SplitMixing(32).double(), noise(1, 32, 3, 5)
    expected = torch.cat((mixing.fc(x[:, :16]), x[:, 16:]), dim=1)
    torch.testing.assert_close(mixing(x), F.channel_shuffle(expected.detach(), GROUPS))


# -- SPAN
# ---------------------------------------------------------------------------------------------------------------------------------


def test_a_mergeable_convolution_is_the_sum_of_its_branches():
    torch.manual_seed(0)
    layer, x = MergeableConv(3, 5, branches=True).double(), noise(2, 3, 6, 7)
    torch.testing.assert_close(layer(x), layer.conv(F.pad(x, (1, 1, 1, 1))) + layer.sk(x))


def test_span_merged_is_the_same_function_without_branches_and_its_file_is_up_to_date():
    torch.manual_seed(0)
    trained = SPAN(2, width=8, branches=True)
    with torch.no_grad():
        trained.block_3.c2_r.sk.weight.add_(0.3)
    merged, lr = trained.merged(), torch.rand(1, 3, 9, 11)
    torch.testing.assert_close(merged(lr), trained(lr), rtol=1e-4, atol=1e-3)
    assert merged.spec.options["branches"] is False
    assert not any(".sk." in key for key in merged.state_dict())
    kernel, bias = trained.block_3.c2_r.merged()
    state = trained.state_dict()
    assert torch.equal(state["block_3.c2_r.eval_conv.weight"], kernel)
    assert torch.equal(state["block_3.c2_r.eval_conv.bias"], bias)


def test_span_sees_the_published_range():
    student = create_student("span", 2, width=4)
    seen = []
    student.conv_1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    student(torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1).expand(1, 3, 4, 4) + 1 / 255)
    torch.testing.assert_close(seen[0], torch.ones(1, 3, 4, 4), rtol=0, atol=1e-4)
