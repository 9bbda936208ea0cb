"""A student on torch: its own result in fp32, within a bound in bf16, and "auto" only with
certainty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from ibsd.inference.network import Network
from ibsd.inference.open import open_network
from ibsd.inference.parity import CERTIFIED_DB, certificate_picture, psnr_db
from ibsd.inference.torch_backend import certified_precision, open_torch
from ibsd.types import InputError


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (32, 17)])
def test_torch_gives_what_the_student_gives(weights: Path, size: tuple[int, int]) -> None:
    lr = certificate_picture(*size)
    with torch.inference_mode():
        expected = tiny.student()(torch.tensor(lr)).numpy()
    exact = open_network(weights, precision="fp32", device="cpu")
    assert isinstance(exact, Network)
    assert np.abs(exact(lr) - expected).max() < 1e-5
    # These weights are untrained, so this bound says nothing of a trained network.
    assert psnr_db(open_network(weights, precision="bf16", device="cpu")(lr), expected) > 35


def test_auto_is_certified(weights: Path) -> None:
    network = open_network(weights, device="cpu")
    assert network.precision == certified_precision(tiny.student(), torch.device("cpu"))
    lr = certificate_picture(48, 56)
    exact = open_network(weights, precision="fp32", device="cpu")
    assert psnr_db(network(lr), exact(lr)) >= CERTIFIED_DB


@pytest.mark.parametrize("far_off", [False, True])
def test_auto_takes_the_fast_precision_only_within_its_bound(
    monkeypatch: pytest.MonkeyPatch, far_off: bool
) -> None:
    monkeypatch.setattr("ibsd.inference.torch_backend.fast_precisions", lambda device: ("bf16",))
    monkeypatch.setattr("ibsd.inference.torch_backend.CERTIFIED_DB", 999.0 if far_off else 0.0)
    expected = "fp32" if far_off else "bf16"
    assert certified_precision(tiny.student(), torch.device("cpu")) == expected


def test_compiled_needs_a_compiler(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler"):
        open_torch(weights, compiled=True, device="cpu")
