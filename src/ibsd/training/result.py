"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass

FINISHED = "finished"
"""`TrainingResult.reason` of a run that went to its end."""


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
    """Of training by this process, validation included."""
