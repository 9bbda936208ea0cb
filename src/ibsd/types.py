"""Values that travel between the parts of the package: batches of patches, traces of a student,
reports of a loss, and the error of a user's mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

Scale = int
"""Upscaling factor: 1 to 4. At 1 a network repairs, and SR has LR's size."""

SCALES: tuple[Scale, ...] = (1, 2, 3, 4)

LOWER_IS_BETTER = ("lpips",)
"""Names of metrics of which less is better."""

NUMERICS: dict[str, int] = {
    "students": 1,
    "information": 1,
    "distillation": 1,
    "data": 1,
    "training": 1,
    "metrics": 1,
}
"""The version of each concept's arithmetic. It is part of the key of every stored run of a
comparison, so that runs made by different arithmetic are never mixed.

Raise a number by hand when a change moves a figure; leave it alone otherwise. `tests/test_numerics`
compares the first losses of every objective, and of IBSD on every student, with committed figures.
"""


class InputError(ValueError):
    """The user's input is wrong. The message is one sentence: what, where, and what to do. The
    command line prints it and exits with 2."""


def require(name: str, value: object, fits: bool, must_be: str) -> None:
    """InputError that names an option and its value, unless the value fits."""
    if not fits:
        raise InputError(f"{name} is {value!r}; it must be {must_be}")


def require_not_negative(owner: str, **options: float) -> None:
    """InputError that names the owner and an option that is below 0 or NaN."""
    for name, value in options.items():
        require(f"{owner}: {name}", value, value >= 0, "at least 0")


def require_scale(name: str, scale: int) -> None:
    """InputError that names the option, unless the scale is one of `SCALES`."""
    require(name, scale, scale in SCALES, "1, 2, 3 or 4")


def counted(number: int, noun: str) -> str:
    """Example: "1 pair", "2 pairs"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class Trace(NamedTuple):
    """What a student computed on its way from LR to SR: the Markov chain X -> F0 -> F1 -> F2 -> F3
    -> Y of docs/method.md 1."""

    sr: Tensor
    """[N, 3, sH, sW], RGB, about [0, 1]. It is not clamped."""
    nodes: tuple[Tensor, ...]
    """F0, F1, ...: feature maps of equal shape [N, C, H, W], earliest first."""


class Origin(NamedTuple):
    """Where the patches of a batch were cut, in LR pixels of the image as stored. Four int64
    tensors of shape [N]."""

    image: Tensor
    """Index of the image in the training set."""
    top: Tensor
    left: Tensor
    augmentation: Tensor
    """0 to 7: bit 0 mirrors left and right, bit 1 mirrors up and down, bit 2 (applied last) swaps
    rows and columns."""


class Batch(NamedTuple):
    """Training patches and where they came from."""

    lr: Tensor
    """[N, 3, h, w], RGB in [0, 1]."""
    hr: Tensor
    """[N, 3, s*h, s*w], RGB in [0, 1]."""
    origin: Origin | None = None
    """None where nobody knows. A bank of past outputs then cannot be used, and the past runs on
    the batch instead."""
    num_views: int = 1
    """Views of each place. With 2, row k and row k + N/2 show one HR patch under two
    degradations."""


@dataclass
class LossReport:
    """An objective's loss on one batch."""

    total: Tensor
    """The weighted sum to minimise: a scalar with a graph to the student's parameters."""
    terms: dict[str, Tensor]
    """The terms by name, without their weights: detached scalars on the device. Reading one waits
    for the device."""
    nodes: tuple[Tensor, ...] = ()
    """The chain's feature maps, detached, for the auxiliary step. Empty if the objective has no
    auxiliary parts."""
