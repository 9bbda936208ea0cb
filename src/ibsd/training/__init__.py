"""The training loop and what makes a run safe to leave alone: schedule, checkpoints, tracking.

The trainer is loaded when first used, so that a config is read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ibsd.training.options import TrainingOptions
from ibsd.training.result import TrainingResult
from ibsd.training.schedule import Schedule

if TYPE_CHECKING:
    from ibsd.training.trainer import Trainer

__all__ = ["Schedule", "Trainer", "TrainingOptions", "TrainingResult"]


def __getattr__(name: str) -> Any:
    if name == "Trainer":
        return importlib.import_module("ibsd.training.trainer").Trainer
    raise AttributeError(f"module 'ibsd.training' has no attribute {name!r}")
