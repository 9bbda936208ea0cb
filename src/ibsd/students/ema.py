"""A running average of a student's weights: steadier than any single step, and free at inference."""

from __future__ import annotations

import copy

import torch

from ibsd.students.student import Student


class WeightAverage:
    """Exponential moving average of all parameters and floating buffers.

    Args:
        student: copied at once; the copy never receives gradients.
        decay: weight of the past, in [0, 1). Early on min(decay, (1 + t) / (10 + t)) is used, so that the random start is forgotten.
    """

    def __init__(self, student: Student, decay: float) -> None:
        self.student = frozen_copy(student)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, student: Student) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        ours, theirs = list(self.student.state_dict().values()), list(student.state_dict().values())
        torch._foreach_lerp_(ours, theirs, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
        self.updates += 1

    def state(self) -> dict[str, object]:
        return {"weights": self.student.state_dict(), "updates": self.updates}

    def load_state(self, state: dict) -> None:
        self.student.load_state_dict(state["weights"])
        self.updates = state["updates"]


def frozen_copy(student: Student) -> Student:
    """A copy in eval mode whose parameters need no gradients."""
    return copy.deepcopy(student).eval().requires_grad_(False)
