"""RFDN: what the laws of all networks do not say of it."""

from __future__ import annotations

import torch

from ibsd.students.rfdn import RFDN


def test_rfdn_runs_block_four_three_times_and_five_and_six_never():
    student, calls = RFDN(2, width=4), []
    for k in range(1, 7):
        student.get_submodule(f"B{k}").register_forward_hook(
            lambda module, inputs, output, k=k: calls.append(k)
        )
    student(torch.rand(1, 3, 4, 4))
    assert calls == [1, 2, 3, 4, 4, 4]
