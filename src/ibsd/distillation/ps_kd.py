"""PS-KD: progressive self-knowledge distillation in pixels (Kim et al., ICCV 2021,
arXiv:2006.12000), for regression.

    L = L1(SR, T_t),   T_t = (1 - a_t) HR + a_t SR_past,   a_t = a_T t / T_total

The paper softens a class label with the prediction of the last epoch's network. Here the label is
HR and the prediction an image. IBSD uses the same soft target, in detail bands only
(`soft_target.py`). Gradients reach the student through SR. T_t carries no graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ibsd.distillation.objective import Objective
from ibsd.distillation.soft_target import PastSource, SoftTarget
from ibsd.students.student import Student
from ibsd.types import Batch


class PSKD(Objective):
    """L1 to the progressive soft target. With `final_share` 0 it trains bit-identically to `Plain`.

    Args:
        student: the network to train.
        final_share: a_T, share of the student's past at the end of training, in [0, 1]; the paper's
            is 0.8.
        period: updates between snapshots of the past; the paper's is an epoch.
        soft_target: where the past output comes from (`PastSource` in `soft_target.py`).

    Source: Kim et al., ICCV 2021, equations 5 to 7, with L1 for the cross entropy
    (docs/method.md 7).
    """

    joint = True
    scheduled = True

    def __init__(
        self,
        student: Student,
        *,
        final_share: float = 0.8,
        period: int = 500,
        soft_target: PastSource = "bank",
    ) -> None:
        super().__init__(student, {"soft": 1.0, "l1": 0.0})
        self.soft_target = self.past = SoftTarget(student, soft_target, final_share, period)

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr = self.student(batch.lr).float()
        soft = (sr - self.soft_target(batch)).abs().mean()
        l1 = (sr.detach() - batch.hr).abs().mean()  # only measured: its weight is 0
        return {"soft": soft, "l1": l1}, ()

    @torch.no_grad()
    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """The share of the past, and the share of values whose gradient has another sign than
        towards HR: 0 means no effect."""
        sr = self.student(batch.lr).float()
        target = self.soft_target(batch)
        flipped = (sr - target).sign() != (sr - batch.hr).sign()
        return {
            "soft_target/share": self.soft_target.share,
            "soft_target/flipped": float(flipped.float().mean()),
        }
