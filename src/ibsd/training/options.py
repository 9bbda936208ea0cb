"""How long a run is and how it trains: the options of `Trainer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ibsd.training.schedule import Schedule
from ibsd.types import require


@dataclass(frozen=True)
class TrainingOptions:
    """Options of `Trainer`. The config section [training]."""

    num_steps: int = 100_000
    """Student updates of the whole run."""
    learning_rate: float = 2e-4
    """Of Adam, where the factor of `schedule` is 1. Above 0 and below 1."""
    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW); 0 for plain Adam."""
    schedule: Schedule = Schedule()  # noqa: RUF009  (frozen)
    ema_decay: float = 0.999
    """Of the running average of weights, which is validated and shipped. 0 or more and below 1."""
    uniform_average: bool = False
    """Whether the average is the plain mean of the weights after every update, in place of
    `ema_decay` (Cha et al., NeurIPS 2021, arXiv:2102.08604, without their choice of a window)."""
    start_share: float = 0.0
    """Share of the weights before training in the mean that is saved beside the others: the mean
    of what the start could do and what training has added (Wortsman et al., CVPR 2022,
    arXiv:2109.01903). 0 for none."""
    clip_norm: float = 0.0
    """Largest norm of the student's gradient; 0 for no clipping."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16` runs the student under autocast. Losses and estimators stay in fp32."""
    channels_last: bool = False
    """Memory format of the student and its inputs."""
    compile_mode: Literal["", "default", "reduce-overhead"] = ""
    """Mode of `torch.compile` for the student; `reduce-overhead` uses CUDA graphs, empty is off."""
    skip_threshold: float = 10.0
    """A step is skipped and counted if its loss is more than this many times the running mean, or
    not finite. Above 1."""
    max_consecutive_skips: int = 100
    """The run stops after this many skipped steps in a row."""
    log_every: int = 100
    """Updates between lines of mean losses; 0 for the last update alone."""
    diagnostics_every: int = 500
    """Updates between diagnostics of the objective; 0 for never."""
    validate_every: int = 1000
    """Updates between validations; 0 for the last update alone."""
    checkpoint_every: int = 1000
    """Updates between checkpoints; 0 for the end of the run alone."""
    keep: int = 2
    """How many of the newest checkpoints stay."""

    def __post_init__(self) -> None:
        def check(name: str, fits: bool, must_be: str) -> None:
            require(f"training.{name}", getattr(self, name), fits, must_be)

        check("num_steps", self.num_steps >= 1, "at least 1")
        check("learning_rate", 0 < self.learning_rate < 1, "above 0 and below 1")
        check("weight_decay", 0 <= self.weight_decay < 1, "0 or more and below 1")
        check("ema_decay", 0 <= self.ema_decay < 1, "0 or more and below 1")
        check("start_share", 0 <= self.start_share < 1, "0 or more and below 1")
        check("clip_norm", self.clip_norm >= 0, "0 or more")
        check("skip_threshold", self.skip_threshold > 1, "above 1")
        for name in ("max_consecutive_skips", "keep"):
            check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("log_every", "diagnostics_every", "validate_every", "checkpoint_every"):
            check(name, getattr(self, name) >= 0, "0 (never) or more")
