"""A certificate is of many sizes, and fails for any result that is wrong at one."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tiny
from ibsd.export.certificate import (
    ParityCheck,
    check_parity,
    package_versions,
    parity_sizes,
    parity_verdict,
    sample_crop,
)
from ibsd.export.graph import exported_descriptor
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.inference.torch_backend import student_network


def enlarged(lr: np.ndarray, value: float) -> np.ndarray:
    return np.full((1, 3, 2 * lr.shape[2], 2 * lr.shape[3]), value, np.float32)


def test_the_student_itself_passes() -> None:
    student = tiny.student()
    checks = check_parity(student, student_network(student), [(1, 1), (31, 17)])
    assert [(check.height, check.width) for check in checks] == [(1, 1), (31, 17)]
    assert parity_verdict(checks, "fp32")["passed"]


@pytest.mark.parametrize("kind", ["shape", "nan", "black"])
def test_a_wrong_result_fails(kind: str) -> None:
    """Of another shape, not a number, or simply another picture."""
    student = tiny.student()

    def wrong(lr: np.ndarray) -> np.ndarray:
        return lr if kind == "shape" else enlarged(lr, np.nan if kind == "nan" else 0)

    checks = check_parity(student, Network(exported_descriptor(student), wrong), [(9, 8)])
    verdict = parity_verdict(checks, "int8")
    assert not verdict["passed"]
    if kind != "black":
        assert verdict["sizes"] == [{"lr": [9, 8], "largest_difference": None, "psnr_db": None}]


def test_one_size_below_the_limit_fails_the_whole() -> None:
    good, bad = ParityCheck(8, 8, 0.0, float("inf")), ParityCheck(9, 9, 1e-4, 89.9)
    assert parity_verdict([good, good], "fp32")["passed"]
    assert not parity_verdict([good, bad], "fp32")["passed"]
    assert parity_verdict([good, bad], "bf16")["passed"]
    json.dumps(parity_verdict([good, bad], "fp32"), allow_nan=False)


def test_sizes_are_those_that_the_network_takes() -> None:
    descriptor = NetworkDescriptor("a", 2, 0, False, minimum_size_px=24, multiple_px=8)
    sizes = parity_sizes(descriptor)
    assert (24, 24) in sizes and min(min(size) for size in sizes) == 24
    assert any(height % 2 and width % 2 for height, width in sizes)
    for size in sizes:
        crop = sample_crop(*size)
        assert crop.shape == (1, 3, *size) and crop.dtype == np.float32
        assert crop.min() >= 0 and crop.max() <= 1


def test_versions_are_of_what_is_installed() -> None:
    assert {"ibsd", "torch", "numpy"} <= package_versions().keys()
