"""Learning rate over training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ibsd.types import require


@dataclass(frozen=True)
class Schedule:
    """Factor of the learning rate at each update. The config section [training.schedule]."""

    kind: Literal["constant", "step", "cosine"] = "cosine"
    """`constant`: 1. `step`: times `gamma` at each milestone. `cosine`: from 1 to `final_factor`
    over the run."""
    warm_up: int = 0
    """The first updates, over which the factor rises linearly from 0."""
    milestones: tuple[int, ...] = (100_000, 200_000, 300_000, 400_000)
    """Updates at which `step` lowers the factor. The default is that of the published trainer."""
    gamma: float = 0.5
    """What `step` multiplies by, above 0 and at most 1."""
    final_factor: float = 0.0
    """Where `cosine` ends, in 0 to 1."""

    def __post_init__(self) -> None:
        section = "training.schedule"
        kinds = ("constant", "step", "cosine")
        require(f"{section}.kind", self.kind, self.kind in kinds, "constant, step or cosine")
        require(f"{section}.warm_up", self.warm_up, self.warm_up >= 0, "0 or more")
        require(f"{section}.gamma", self.gamma, 0 < self.gamma <= 1, "above 0 and at most 1")
        in_range = 0 <= self.final_factor <= 1
        require(f"{section}.final_factor", self.final_factor, in_range, "in 0 to 1")

    def factor(self, step: int, num_steps: int) -> float:
        """For update `step` of `num_steps`, counted from 0."""
        rise = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        if self.kind == "step":
            return rise * self.gamma ** sum(step >= milestone for milestone in self.milestones)
        if self.kind == "cosine":
            return rise * (
                self.final_factor
                + (1 - self.final_factor) * 0.5 * (1 + math.cos(math.pi * step / num_steps))
            )
        return rise
