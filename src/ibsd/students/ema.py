"""A running average of a student's weights: steadier than any single step, and free at
inference."""

# torch's operations on lists of tensors have no public names.
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

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
        uniform: the plain mean of the weights after all updates; `decay` is then not used.
    """

    def __init__(self, student: Student, decay: float, uniform: bool = False) -> None:
        self.student = frozen_copy(student)
        self.decay = decay
        self.uniform = uniform
        self._updates: int | Tensor = 0

    @torch.no_grad()
    def update(self, student: Student, accepted: Tensor | None = None) -> None:
        """One step towards `student`; where `accepted`, a bool on the device, is false, nothing
        happens, and the host does not wait for the answer."""
        ours = list(self.student.state_dict().values())
        theirs = list(student.state_dict().values())
        if accepted is None:
            decay = self.decay_at(self.updates)
            torch._foreach_lerp_(ours, theirs, 1 - decay)
            self._updates = self.updates + 1
            return
        updates = torch.as_tensor(self._updates, device=accepted.device)
        share = torch.where(accepted, 1 - self.decay_at(updates), 0.0)
        steps = torch._foreach_sub(theirs, ours)
        torch._foreach_mul_(steps, share)
        torch._foreach_add_(ours, steps)
        self._updates = updates + accepted

    def decay_at(self, updates: int | Tensor) -> Any:
        """Weight of the past in the update after so many."""
        if self.uniform:
            return updates / (updates + 1)
        early = (1 + updates) / (10 + updates)
        return early.clamp(max=self.decay) if isinstance(early, Tensor) else min(self.decay, early)

    @property
    def updates(self) -> int:
        return int(self._updates)

    def state(self) -> dict[str, object]:
        return {"weights": self.student.state_dict(), "updates": self.updates}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.student.load_state_dict(state["weights"])
        self._updates = state["updates"]


@torch.no_grad()
def mixed(start: Student, end: Student, start_share: float) -> Student:
    """A frozen student whose parameters and floating buffers are (1 - s) end + s start.

    Source: Wortsman et al., CVPR 2022, arXiv:2109.01903 (WiSE-FT).
    """
    student = frozen_copy(end)
    ours = student.state_dict()
    others = start.state_dict()
    for key, tensor in ours.items():
        if tensor.is_floating_point():
            tensor.lerp_(others[key].to(tensor), start_share)
    return student


def frozen_copy(student: Student) -> Student:
    """A copy in eval mode whose parameters need no gradients."""
    # a compiled `run` is bound to its own student
    compiled = vars(student).get("run")
    twin = copy.deepcopy(student, {id(compiled): None} if compiled is not None else None)
    vars(twin).pop("run", None)
    return twin.eval().requires_grad_(False)
