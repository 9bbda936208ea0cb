"""The recipe that fits a network to some cameras and keeps what it could do before.

A short training by IBSD from weights that are good already, and then the mean of the weights before
and after it. On cameras that were not trained on, the mean is ahead of both.

Source: docs/method.md 5 (IBSD); Wortsman et al., CVPR 2022, arXiv:2109.01903 (the mean of weights).
The lengths and the share are those of the arm `ibsd-mean` of docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from ibsd.distillation.ibsd import IBSD
from ibsd.distillation.ibsd_options import IBSDOptions


@dataclass(frozen=True)
class SpecialiseOptions(IBSDOptions):
    """Options of `Specialise`: those of `IBSD`, with lengths for a run of 1,200 steps."""

    warm_up: int = 100
    ramp: int = 250
    period: int = 250


class Specialise(IBSD):
    """IBSD whose run leaves the mean of the weights before and after training, half each
    (`last-mean.safetensors`). Another share is `training.start_share`."""

    declared = SpecialiseOptions
    start_share = 0.5
