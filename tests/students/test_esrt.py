"""ESRT: which tokens attend to each other."""

from __future__ import annotations

import pytest
import torch

from ibsd.students.esrt import SEGMENTS, SegmentAttention


@pytest.mark.parametrize("length", [1, 3, 4, 7, 12, 14])
def test_segment_attention_lets_tokens_see_their_quarter_alone(length: int):
    torch.manual_seed(0)
    attention = SegmentAttention(144).double()
    x = torch.randn(1, length, 144).double().requires_grad_()
    out = attention(x)
    segment = length // SEGMENTS
    group = [min(k // segment, SEGMENTS) if segment else SEGMENTS for k in range(length)]
    for k in range(length):
        (gradient,) = torch.autograd.grad(out[0, k].square().sum(), x, retain_graph=True)
        seen = gradient[0].abs().sum(dim=-1) > 0
        assert seen.tolist() == [other == group[k] for other in group]
