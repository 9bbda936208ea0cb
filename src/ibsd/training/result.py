"""How a run ended, and the weights that it leaves."""

from __future__ import annotations

from dataclasses import dataclass

FINISHED = "finished"
"""`TrainingResult.reason` of a run that went to its end."""

AVERAGED = "ema"
RAW = "raw"
MEAN = "mean"
START = "start"
"""Kinds of weights: the running average; those of the last step as they are; the running average
mixed with the weights before training (`TrainingOptions.start_share`); those before training."""
WEIGHT_FILES = {
    AVERAGED: "last.safetensors",
    RAW: "last-raw.safetensors",
    MEAN: "last-mean.safetensors",
}
"""{kind of weights: file in the folder of the run}, all of the last step."""
BEST_FILE = "best.safetensors"
"""The running average where its score on `val` was best."""


@dataclass
class TrainingResult:
    """How a run ended."""

    step: int
    finished: bool
    reason: str
    """Why it stopped, or `FINISHED`."""
    best_score: float
    best_step: int
    skipped: int
    seconds: float
    """Seconds that this process trained, validation included."""
