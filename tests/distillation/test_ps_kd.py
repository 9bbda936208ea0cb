"""Laws of PS-KD: without a past it is plain training, and its target moves as the schedule says."""

from __future__ import annotations

import pytest
import torch

import tiny
from distillation.short_run import is_plain
from ibsd.distillation.ps_kd import PSKD
from ibsd.types import InputError


@pytest.mark.slow
def test_without_a_past_it_is_plain_bit_for_bit() -> None:
    assert is_plain(PSKD(tiny.student(), final_share=0.0, period=2))
    assert is_plain(PSKD(tiny.student(), period=50))
    assert not is_plain(PSKD(tiny.student(), period=2))


@pytest.mark.parametrize("source", ["snapshot", "bank", "ema"])
def test_target_mixes_the_past_in_as_the_schedule_says(source: str) -> None:
    objective = PSKD(tiny.student(), period=4, soft_target=source)  # type: ignore[arg-type]
    patches = tiny.source()
    objective.prepare(patches)
    batch = patches.next_batch()
    for step in (0, 3):
        objective.begin_step(step, 16)
        report = objective.loss(batch)
        assert report.total.equal(report.terms["l1"])
        objective.end_step()
    objective.begin_step(4, 16)
    objective.begin_step(8, 16)  # a = 0.8 / 2
    report = objective.loss(batch)
    sr = objective.student(batch.lr)
    past = objective.soft_target.past_output(batch)
    assert past is not None
    torch.testing.assert_close(report.total, (sr - (0.6 * batch.hr + 0.4 * past)).abs().mean())
    torch.testing.assert_close(report.terms["l1"], (sr - batch.hr).abs().mean().detach())
    if (
        source == "snapshot"
    ):  # the past is this very student: L1 to the target is 0.6 of L1 to HR, and no sign differs
        torch.testing.assert_close(report.total, 0.6 * report.terms["l1"])
        assert objective.diagnostics(batch) == {
            "soft_target/share": pytest.approx(0.4),
            "soft_target/flipped": pytest.approx(0, abs=1e-3),
        }


def test_refuses_what_is_no_share() -> None:
    with pytest.raises(InputError, match="final_share"):
        PSKD(tiny.student(), final_share=1.5)
