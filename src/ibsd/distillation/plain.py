"""Plain training: L1 to HR. What every other objective is compared with."""

from __future__ import annotations

from torch import Tensor

from ibsd.distillation.objective import Objective
from ibsd.students.student import Student
from ibsd.types import Batch


class Plain(Objective):
    """L1(SR, HR), the mean over all elements."""

    deferrable = True
    joint = True

    def __init__(self, student: Student) -> None:
        super().__init__(student, {"l1": 1.0})

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        return {"l1": (self.student(batch.lr).float() - batch.hr).abs().mean()}, ()
