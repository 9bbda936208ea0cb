"""The public names, called as the documentation says."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch

import ibsd


def test_every_public_name_is_there_and_listed_once():
    assert len(set(ibsd.__all__)) == len(ibsd.__all__)
    for name in ibsd.__all__:
        assert getattr(ibsd, name) is not None, name


@pytest.mark.parametrize(
    "name",
    ["distillation", "information", "metrics", "students", "training", "upscaling", "evaluation"],
)
def test_what_a_package_lists_it_has(name: str):
    module = importlib.import_module(f"ibsd.{name}")
    for each in module.__all__:
        assert getattr(module, each) is not None, each


def test_dir_shows_them_before_they_are_loaded():
    names = subprocess.run(
        [sys.executable, "-c", "import ibsd; print(*dir(ibsd))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(ibsd.__all__) <= set(names.stdout.split())


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ibsd.no_such_name
    assert not hasattr(ibsd, "no_such_name")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_students(scale: int):
    student = ibsd.create_student("imdn", scale=scale)
    lr = torch.rand(2, 3, 7, 9)
    sr, nodes = student.trace(lr)
    assert student(lr).shape == sr.shape == (2, 3, 7 * scale, 9 * scale)
    assert len(nodes) == 4
    with pytest.raises(ibsd.InputError):
        ibsd.load_student("no-such-file.pth")
    assert issubclass(ibsd.InputError, ValueError)


def test_information():
    later = torch.rand(3, 4, 5, 6)
    location, spread = ibsd.information.LaplaceEstimator(4)(later)
    for reduction in ("mean", "published"):
        assert (
            ibsd.information.club_upper_bound(later, location, spread, reduction=reduction).dim()
            == 0
        )
        assert ibsd.information.laplace_nll(later, location, spread, reduction=reduction).dim() == 0
    chain = ibsd.information.MarkovChain(4, links=3)
    chain.load_published(chain.state_dict())
    assert chain.upper_bound([later] * 4, reduction="published").dim() == 0
    assert chain.nll([later] * 4, reduction="published").dim() == 0


def test_distillation():
    sr = torch.rand(1, 3, 16, 16)
    assert ibsd.distillation.wavelet_loss(sr, sr, levels=4) == 0
    assert isinstance(
        ibsd.distillation.IBSD(ibsd.create_student("imdn", width=8, num_blocks=3)),
        ibsd.distillation.Objective,
    )


def test_metrics_and_upscaling():
    sr = torch.rand(1, 3, 64, 64)
    scores = ibsd.metrics.score(sr, sr.flip(3), scale=4)
    assert {"psnr_rgb", "psnr_y", "ssim", "lpips"} <= scores["ibsd-cdc"].keys()
    assert "basicsr-y" in scores
    picture = np.zeros((6, 5, 3), dtype=np.uint8)
    upscaled = ibsd.upscale(
        picture, ibsd.create_student("imdn", scale=2, width=8, num_blocks=3).eval(), tile="auto"
    )
    assert isinstance(upscaled, np.ndarray)
    assert upscaled.shape == (12, 10, 3)
    assert upscaled.dtype == np.uint8
