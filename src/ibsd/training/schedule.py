"""Learning rate over training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ibsd.types import InputError


@dataclass(frozen=True)
class Schedule:
    """Factor of the learning rate at each update.

    `constant`; `step`: times `gamma` at each of `milestones` (published: halved at 100k, 200k,
    300k, 400k); `cosine`: from 1 to `final_factor` over the run. The first `warm_up` updates rise
    linearly to it.
    """

    kind: Literal["constant", "step", "cosine"] = "cosine"
    warm_up: int = 0
    milestones: Sequence[int] = field(default=(100_000, 200_000, 300_000, 400_000))
    gamma: float = 0.5
    final_factor: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("constant", "step", "cosine"):
            raise InputError(
                f"schedule: kind is {self.kind!r}; it must be constant, step or cosine"
            )

    def factor(self, step: int, num_steps: int) -> float:
        """For update `step`, counted from 0."""
        rise = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        if self.kind == "step":
            return rise * self.gamma ** sum(step >= milestone for milestone in self.milestones)
        if self.kind == "cosine":
            return rise * (
                self.final_factor
                + (1 - self.final_factor) * 0.5 * (1 + math.cos(math.pi * step / num_steps))
            )
        return rise
