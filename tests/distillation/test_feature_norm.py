"""Laws of the control: without weight it is plain training, with weight it shrinks features, and it
resumes."""

from __future__ import annotations

import pytest
import torch

import tiny
from distillation.short_run import is_plain, trained
from ibsd.config.parsing import checked_arguments
from ibsd.distillation.feature_norm import FeatureNorm, feature_norm
from ibsd.distillation.registry import OBJECTIVES
from ibsd.types import InputError


@pytest.mark.slow
def test_without_weight_it_is_plain_bit_for_bit() -> None:
    assert is_plain(FeatureNorm(tiny.student(), lambda_norm=0.0))
    assert not is_plain(FeatureNorm(tiny.student(), warm_up=0, ramp=0))


@pytest.mark.slow
def test_weight_shrinks_the_features() -> None:
    lr = tiny.source().next_batch().lr
    size = {}
    for weight in (0.0, 10.0):
        control = FeatureNorm(tiny.student(), lambda_norm=weight, warm_up=0, ramp=0)
        trained(control, 30)
        size[weight] = float(feature_norm(control.student.trace(lr).nodes).detach())
    assert size[10.0] < 0.5 * size[0.0]


def test_value_by_hand_and_gradient_to_every_node() -> None:
    nodes = (
        torch.ones(1, 2, 3, 3, requires_grad=True),
        torch.full((1, 2, 3, 3), 3.0, requires_grad=True),
    )
    value = feature_norm(nodes)
    assert value.item() == 5
    value.backward()
    assert all(
        torch.equal(node.grad, node.detach() / 18) for node in nodes if node.grad is not None
    )
    assert feature_norm([torch.ones(1, 2, 3, 3, dtype=torch.bfloat16)]).dtype == torch.float32


def test_ramp_soft_target_figures_and_state_are_as_of_ibsd() -> None:
    control = FeatureNorm(
        tiny.student(),
        lambda_norm=1.0,
        lambda_hf=0.1,
        warm_up=2,
        ramp=4,
        period=2,
        soft_target="snapshot",
    )
    weights = []
    for step in range(8):
        control.begin_step(step, 8)
        weights.append(control.weights["norm"])
    assert weights == [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    batch = tiny.source().next_batch()
    report = control.loss(batch)
    assert set(report.terms) == {"l1", "norm", "wavelet"}
    assert report.nodes == ()
    figures = control.diagnostics(batch)
    assert {
        "gradient_share/norm",
        "gradient_cosine/wavelet",
        "scale/F0",
        "scale/F3",
        "soft_target/share",
    } <= figures.keys()
    assert figures["soft_target/share"] == pytest.approx(0.8 * 7 / 8)

    again = FeatureNorm(
        tiny.student(seed=1),
        lambda_norm=1.0,
        lambda_hf=0.1,
        warm_up=2,
        ramp=4,
        period=2,
        soft_target="snapshot",
    )
    again.student.load_state_dict(control.student.state_dict())
    again.load_state(control.state())
    for objective in (control, again):
        objective.begin_step(7, 8)
    assert torch.equal(again.loss(batch).total, control.loss(batch).total)


def test_registered_with_its_options_and_refuses_negative_weights() -> None:
    network = OBJECTIVES["feature-norm"]
    assert checked_arguments(network, {"lambda_norm": 1, "period": 3}, "objective.options") == {
        "lambda_norm": 1.0,
        "period": 3,
    }
    for options in ({"lambda_norm": -1.0}, {"lambda_hf": float("nan")}, {"ramp": -1}):
        with pytest.raises(InputError, match="it must be at least 0"):
            FeatureNorm(tiny.student(), **options)
