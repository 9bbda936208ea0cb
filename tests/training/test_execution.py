"""The weights that a run leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tiny
from ibsd.distillation import Plain
from ibsd.students import load_student
from ibsd.training import TrainingOptions
from ibsd.training.execution import execute


def run(folder: Path, num_steps: int, resume: bool = False) -> dict[str, dict[str, torch.Tensor]]:
    options = TrainingOptions(
        num_steps=4 if resume else num_steps, learning_rate=1e-2, start_share=0.25, log_every=0
    )
    execution = execute(
        Plain(tiny.student()), tiny.source(), options, folder, resume=resume, tensorboard=False
    )
    return {kind: student.state_dict() for kind, student in execution.students.items()}


@pytest.mark.slow
def test_the_mean_with_the_start_is_saved_and_survives_a_resume(tmp_path: Path) -> None:
    weights = run(tmp_path / "whole", 4)
    saved = load_student(tmp_path / "whole" / "last-mean.safetensors").state_dict()
    start = tiny.student().state_dict()
    for key, tensor in saved.items():
        assert torch.equal(weights["start"][key], start[key])
        expected = 0.25 * start[key] + 0.75 * weights["ema"][key]
        assert torch.allclose(tensor, expected, atol=1e-6)
    run(tmp_path / "parts", 2)
    resumed = run(tmp_path / "parts", 4, resume=True)
    assert torch.equal(resumed["start"]["fea_conv.weight"], start["fea_conv.weight"])
