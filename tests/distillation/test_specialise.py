"""The recipe is IBSD with other lengths, and asks for the mean with the start."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import tiny
from ibsd.distillation.ibsd_options import IBSDOptions
from ibsd.distillation.specialise import Specialise, SpecialiseOptions
from ibsd.students import load_student
from ibsd.training import TrainingOptions
from ibsd.training.execution import execute


def test_only_the_lengths_differ_from_ibsd() -> None:
    ours, theirs = (dataclasses.asdict(options()) for options in (SpecialiseOptions, IBSDOptions))
    differing = {key: value for key, value in ours.items() if value != theirs[key]}
    assert differing == {"warm_up": 100, "ramp": 250, "period": 250}
    assert Specialise(tiny.student(), warm_up=7).options == SpecialiseOptions(warm_up=7)


@pytest.mark.slow
def test_a_run_leaves_the_mean_of_start_and_end_unless_its_options_name_a_share(
    tmp_path: Path,
) -> None:
    start = tiny.student().state_dict()
    for given, share in ((0.0, 0.5), (0.25, 0.25)):
        folder = tmp_path / str(share)
        options = TrainingOptions(
            num_steps=2, learning_rate=1e-2, start_share=given, log_every=0, checkpoint_every=0
        )
        execute(Specialise(tiny.student()), tiny.source(), options, folder, tensorboard=False)
        end = load_student(folder / "last.safetensors").state_dict()
        for key, tensor in load_student(folder / "last-mean.safetensors").state_dict().items():
            assert torch.allclose(tensor, share * start[key] + (1 - share) * end[key], atol=1e-6)
        assert not torch.equal(end["fea_conv.weight"], start["fea_conv.weight"])
