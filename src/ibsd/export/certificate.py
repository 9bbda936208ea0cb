"""The parity certificate: an exported model run beside torch at several sizes, and what came of
it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ibsd.data.samples import SPLITS, sample
from ibsd.inference.exported import NetworkFacts
from ibsd.inference.torch_backend import psnr
from ibsd.students import Student

LIMITS_DB = {"fp32": 90.0, "bf16": 50.0, "int8": 40.0}
"""PSNR to torch in fp32, at peak 1, that every size must reach. Rounding of fp32 alone leaves about
140 dB."""

PACKAGES = (
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
)


@dataclass(frozen=True)
class Comparison:
    """One size at which both ran."""

    height: int
    width: int
    largest_difference: float
    psnr_db: float
    """inf where equal, written as null."""


def sizes_for(facts: NetworkFacts) -> list[tuple[int, int]]:
    """Sizes in LR pixels to run at: the smallest that the network takes as it is, odd ones, wide
    and high ones."""
    smallest = facts.minimum_size_px
    wanted = [
        (smallest, smallest),
        (smallest + 1, smallest + 6),
        (31, 17),
        (33, 71),
        (48, 64),
        (128, 96),
    ]
    return [(max(height, smallest), max(width, smallest)) for height, width in wanted]


def picture(height: int, width: int) -> np.ndarray:
    """A piece of a sample photograph that no calibration uses, float32 [1, 3, height, width] in [0,
    1]."""
    photograph = sample(SPLITS["test"][(height + width) % len(SPLITS["test"])])
    top, left = (photograph.shape[0] - height) // 2, (photograph.shape[1] - width) // 2
    part = photograph[top : top + height, left : left + width]
    assert part.shape[:2] == (height, width)
    return (part.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)


def compared(
    student: Student, network: Callable[[np.ndarray], np.ndarray], facts: NetworkFacts
) -> list[Comparison]:
    """Both at every size; a result of another shape, or not a number, counts as -inf dB.

    torch gets sizes between the network's multiples continued as an export does, which changes only
    what esrt gives: it pads nothing itself.
    """
    found = []
    for height, width in sizes_for(facts):
        lr = picture(height, width)
        with torch.inference_mode():
            expected = student(torch.from_numpy(facts.padded(lr))).numpy()[
                ..., : height * facts.scale, : width * facts.scale
            ]
        sr = network(lr)
        if sr.shape != expected.shape or not np.isfinite(sr).all():
            found.append(Comparison(height, width, float("inf"), float("-inf")))
            continue
        found.append(
            Comparison(height, width, float(np.abs(sr - expected).max()), float(psnr(sr, expected)))
        )
    return found


def verdict(comparisons: list[Comparison], precision: str) -> dict[str, Any]:
    """The comparisons as JSON takes them, and whether all of them reach the limit."""

    def number(value: float) -> float | None:
        return value if np.isfinite(value) else None

    limit = LIMITS_DB[precision]
    return {
        "passed": all(each.psnr_db >= limit for each in comparisons),
        "limit_db": limit,
        "sizes": [
            {
                "lr": [each.height, each.width],
                "largest_difference": number(each.largest_difference),
                "psnr_db": number(round(each.psnr_db, 2)),
            }
            for each in comparisons
        ],
    }


def versions() -> dict[str, str]:
    """Of the packages that take part, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
