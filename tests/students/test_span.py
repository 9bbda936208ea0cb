"""SPAN: branches merge into the network that ships."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ibsd.students import create_student
from ibsd.students.span import SPAN, MergeableConv


def test_a_mergeable_convolution_is_the_sum_of_its_branches():
    torch.manual_seed(0)
    layer, x = MergeableConv(3, 5, branches=True).double(), torch.randn(2, 3, 6, 7).double()
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
