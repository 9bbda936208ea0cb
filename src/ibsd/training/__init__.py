"""The training loop and what makes a run safe to leave alone: schedule, checkpoints, tracking."""

from ibsd.training.schedule import Schedule
from ibsd.training.trainer import Trainer, TrainingResult

__all__ = ["Schedule", "Trainer", "TrainingResult"]
