"""A fused step obeys a mask on the device."""

from __future__ import annotations

import pytest
import torch

from ibsd.distillation.optimizers import skip_where_refused, use_fused, with_fused


@pytest.mark.parametrize("accepted", [True, False])
def test_a_refused_step_changes_nothing(accepted: bool):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], lr=0.1)
    use_fused(optimizer, True)
    weight.grad = torch.ones(3)
    skip_where_refused(optimizer, torch.tensor(accepted))
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(3)) != accepted


def test_a_state_is_given_this_machines_choice_and_nothing_else():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    state = optimizer.state_dict()
    fused = with_fused(state, True)
    assert [group["fused"] for group in fused["param_groups"]] == [True]
    assert state["param_groups"][0]["fused"] is None
    assert fused["param_groups"][0] | {"fused": None} == state["param_groups"][0]
