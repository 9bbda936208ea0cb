"""Omni-SR: both attentions against their definition, pixel by pixel."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.students.omnisr import HEADS, WINDOW, ChannelAttention, PixelAttention, relative_positions


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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
            logits = q[:, part] @ k[:, part].T / (width // HEADS) ** 0.5 + table[..., head]
            heads.append(logits.softmax(dim=-1) @ v[:, part])
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
