"""EMA teacher: a running average of the student teaches it (Mean Teacher: Tarvainen and Valpola,
NeurIPS 2017, arXiv:1703.01780), for regression.

    L = L1(SR, HR) + lambda_teacher r_t L1(SR, SR_teacher)
    theta_teacher <- d theta_teacher + (1 - d) theta

r_t rises from 0 to 1. In the paper student and teacher see the same image under different noise.
Here the teacher's patch is mirrored or transposed at random and its output turned back, which keeps
the pixels in place. Gradients reach the student through SR. The teacher only averages.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ibsd.data.image_stack import augment
from ibsd.distillation.objective import Objective, ramp_factor
from ibsd.students.ema import WeightAverage
from ibsd.students.student import Student
from ibsd.types import Batch, require, require_not_negative


class EMATeacher(Objective):
    """L1 to HR and to the output of the running average. With `lambda_teacher` 0 it trains
    bit-identically to `Plain`.

    Args:
        student: the network to train.
        lambda_teacher: weight of the distance to the teacher, at the end of the ramp.
        decay: d, of the running average; smaller at first, as in `students/ema.py`. This average
            is not the one that is shipped.
        warm_up: updates without the teacher, which knows nothing yet.
        ramp: updates over which its weight then rises.
        turned: whether the teacher sees the patch in another orientation, drawn for each batch.
        seed: of the generator of orientations.

    Source: Tarvainen and Valpola, NeurIPS 2017, section 2, with L1 for the squared distance
    (docs/method.md 7).
    """

    joint = True
    scheduled = True

    def __init__(
        self,
        student: Student,
        *,
        lambda_teacher: float = 1.0,
        decay: float = 0.999,
        warm_up: int = 200,
        ramp: int = 1000,
        turned: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(student, {"l1": 1.0, "teacher": 0.0})
        require_not_negative("ema-teacher", lambda_teacher=lambda_teacher)
        require_not_negative("ema-teacher", warm_up=warm_up, ramp=ramp)
        require("ema-teacher: decay", decay, 0 <= decay < 1, "0 or more and below 1")
        self.lambda_teacher = lambda_teacher
        self.warm_up = warm_up
        self.ramp_steps = ramp
        self.turned = turned
        self.teacher = WeightAverage(student, decay)
        self.generator = torch.Generator().manual_seed(seed)
        self.orientation = 0

    def begin_step(self, step: int, num_steps: int) -> None:
        super().begin_step(step, num_steps)
        self.weights["teacher"] = self.lambda_teacher * ramp_factor(
            step, self.warm_up, self.ramp_steps
        )
        if self.turned:
            self.orientation = int(torch.randint(1, 8, (), generator=self.generator))

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr = self.student(batch.lr).float()
        terms = {"l1": (sr - batch.hr).abs().mean()}
        if self.weights["teacher"] != 0:
            terms["teacher"] = (sr - self.taught(batch.lr)).abs().mean()
        return terms, ()

    @torch.no_grad()
    def taught(self, lr: Tensor) -> Tensor:
        """The teacher's output in the orientation of `lr`, without graph."""
        sr = self.teacher.student(augment(lr, self.orientation).contiguous())
        return turned_back(sr, self.orientation).float()

    def end_step(self) -> None:
        super().end_step()
        self.teacher.update(self.student)

    def state(self) -> dict[str, Any]:
        return {
            "teacher": self.teacher.state(),
            "generator": self.generator.get_state(),
            "orientation": self.orientation,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.teacher.load_state(state["teacher"])
        self.generator.set_state(state["generator"])
        self.orientation = state["orientation"]


def turned_back(image: Tensor, orientation: int) -> Tensor:
    """Undoes `data.image_stack.augment`: `turned_back(augment(x, k), k)` is x for every k from 0 to
    7."""
    if orientation & 4:
        image = image.transpose(-1, -2)
    return augment(image, orientation & 3)  # a mirror is its own inverse, and the two commute
