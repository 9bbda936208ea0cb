"""The parity certificate: how far an exported model's results are from torch's, at several
sizes."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ibsd.data.samples import SPLITS, sample
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.inference.parity import psnr_db
from ibsd.students import Student
from ibsd.system import finite_or_none
from ibsd.types import InputError

LIMITS_DB = {"fp32": 90.0, "bf16": 50.0, "int8": 40.0}
"""The PSNR to torch in fp32, at peak 1, that every size must reach. The rounding of fp32 alone
gives about 140 dB."""

PACKAGES = [
    "ibsd",
    "torch",
    "numpy",
    "openvino",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "nncf",
    "ncnn",
    "pnnx",
]


@dataclass(frozen=True)
class ParityCheck:
    """The difference between an exported model and torch at one LR size."""

    height: int
    width: int
    largest_difference: float
    psnr_db: float
    """inf if equal, -inf if the result has another shape or is not a number. The certificate stores
    both as null."""


def parity_sizes(descriptor: NetworkDescriptor) -> list[tuple[int, int]]:
    """LR sizes to check, as (height, width): the smallest that the network takes as it is, odd
    ones, wide and high ones."""
    smallest = descriptor.minimum_size_px
    sizes = [(smallest, smallest), (smallest + 1, smallest + 6)]
    sizes += [(31, 17), (33, 71), (48, 64), (128, 96)]
    return [(max(height, smallest), max(width, smallest)) for height, width in sizes]


def sample_crop(height: int, width: int) -> np.ndarray:
    """The middle of a sample photograph that no calibration uses, float32 [1, 3, height, width] in
    [0, 1]."""
    photograph = sample(SPLITS["test"][(height + width) % len(SPLITS["test"])])
    top = (photograph.shape[0] - height) // 2
    left = (photograph.shape[1] - width) // 2
    crop = photograph[top : top + height, left : left + width]
    assert crop.shape[:2] == (height, width)
    return (crop.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)


def check_parity(
    student: Student, network: Network, sizes: Sequence[tuple[int, int]]
) -> list[ParityCheck]:
    """Compares an exported model with the student in fp32 at every size, (height, width) of LR.

    The student gets the input as the model pads it. That matters to esrt only, which pads nothing
    itself. InputError if the student gives NaN or infinity.
    """
    descriptor = network.descriptor
    checks: list[ParityCheck] = []
    for height, width in sizes:
        lr = sample_crop(height, width)
        with torch.inference_mode():
            padded = student(torch.as_tensor(descriptor.pad(lr))).numpy()
        if not np.isfinite(padded).all():
            raise InputError(
                "the student's result is not a number somewhere: its weights are damaged or its "
                "training diverged, export others"
            )
        expected = padded[..., : height * descriptor.scale, : width * descriptor.scale]
        try:
            sr = network(lr)
        except InputError:  # of another shape than the scale says
            sr = None
        if sr is not None and sr.shape == expected.shape and np.isfinite(sr).all():
            difference = float(np.abs(sr - expected).max())
            psnr = float(psnr_db(sr, expected))
        else:
            difference = float("inf")
            psnr = float("-inf")
        checks.append(ParityCheck(height, width, difference, psnr))
    return checks


def parity_verdict(checks: Sequence[ParityCheck], precision: str) -> dict[str, Any]:
    """The checks of one precision as the certificate stores them, and whether all reach the
    limit."""
    limit = LIMITS_DB[precision]
    return {
        "passed": all(check.psnr_db >= limit for check in checks),
        "limit_db": limit,
        "sizes": [
            {
                "lr": [check.height, check.width],
                "largest_difference": finite_or_none(check.largest_difference),
                "psnr_db": finite_or_none(round(check.psnr_db, 2)),
            }
            for check in checks
        ],
    }


def package_versions() -> dict[str, str]:
    """{package: version} of the installed `PACKAGES`."""
    versions: dict[str, str] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
