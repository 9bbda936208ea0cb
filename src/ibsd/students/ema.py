"""A running average of a student's weights: steadier than any single step, and free at
inference."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ibsd.students.student import Student


class WeightAverage:
    """Exponential moving average of all parameters and floating buffers.

    Args:
        student: copied at once; the copy never receives gradients.
        decay: weight of the past, in [0, 1). Early on min(decay, (1 + t) / (10 + t)) is used, so
            that the random start is forgotten.
    """

    def __init__(self, student: Student, decay: float) -> None:
        self.student = frozen_copy(student)
        self.decay = decay
        self._updates: int | Tensor = 0

    @torch.no_grad()
    def update(self, student: Student, accepted: Tensor | None = None) -> None:
        """One step towards `student`; where `accepted`, a bool on the device, is false, nothing
        happens, and the host does not wait for the answer."""
        ours, theirs = list(self.student.state_dict().values()), list(student.state_dict().values())
        if accepted is None:
            decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
            torch._foreach_lerp_(ours, theirs, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
            self._updates = self.updates + 1
            return
        updates = torch.as_tensor(self._updates, device=accepted.device)
        share = torch.where(
            accepted, 1 - ((1 + updates) / (10 + updates)).clamp(max=self.decay), 0.0
        )
        steps = torch._foreach_sub(theirs, ours)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_mul_(steps, share)  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_add_(ours, steps)  # pyright: ignore[reportPrivateImportUsage]
        self._updates = updates + accepted

    @property
    def updates(self) -> int:
        return int(self._updates)

    def state(self) -> dict[str, object]:
        return {"weights": self.student.state_dict(), "updates": self.updates}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.student.load_state_dict(state["weights"])
        self._updates = state["updates"]


def frozen_copy(student: Student) -> Student:
    """A copy in eval mode whose parameters need no gradients."""
    # a compiled `run` is bound to its own student
    compiled = vars(student).get("run")
    twin = copy.deepcopy(student, {id(compiled): None} if compiled is not None else None)
    vars(twin).pop("run", None)
    return twin.eval().requires_grad_(False)
