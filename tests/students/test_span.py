"""SPAN: branches merge into the network that ships."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from ibsd.students import create_student, load_student
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


def test_span_without_norm_sees_lr_as_it_is_and_its_key_says_so(tmp_path: Path):
    student = SPAN(2, width=4, branches=True, norm=False)
    save_file(student.state_dict() | {"no_norm": torch.zeros(1)}, tmp_path / "x.safetensors")
    loaded = load_student(tmp_path / "x.safetensors")
    assert loaded.spec.options == {"width": 4, "branches": True, "norm": False}
    lr = torch.rand(1, 3, 5, 6)
    first = student.trace(lr)[1][0]
    torch.testing.assert_close(first, student.conv_1(lr))
    assert torch.equal(loaded(lr), student(lr))
    assert "no_norm" in student.merged().state_dict()
