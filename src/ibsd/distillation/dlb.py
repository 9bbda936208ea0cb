"""DLB: self-distillation from the last mini-batch (Shen et al., CVPR 2022, arXiv:2203.16172), for
regression.

    L = L1(SR, HR) over the whole batch + alpha L1(SR_repeated, SR_last)

Half of each batch repeats patches of the batch before, and SR_last is what the student gave for
them then. Gradients reach the student through SR. SR_last carries no graph.

Of each batch that the trainer draws, the first half is used. Its second half is replaced by the
first half of the batch before. The student thus sees other patches than in plain training, each of
them twice, and `paired` is False.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ibsd.data.patches import PatchSource
from ibsd.distillation.objective import Objective
from ibsd.students.student import Student
from ibsd.types import Batch, LossReport, Origin, require, require_not_negative


class DLB(Objective):
    """L1 to HR, and to the student's last output on the half of the batch that it saw before.

    Args:
        student: the network to train.
        alpha: weight of the distance to the last output; the paper's is 1. With 0 it is plain
            training on the rearranged batches.

    Errors: InputError for a batch of one, and from `prepare` for an odd batch size.
    Source: Shen et al., CVPR 2022, equations 3 to 6, with L1 for cross entropy and KL
    divergence, so without a temperature (docs/method.md 7).
    """

    paired = False
    scheduled = True

    def __init__(self, student: Student, *, alpha: float = 1.0) -> None:
        super().__init__(student, {"l1": 1.0, "last": alpha})
        require_not_negative("dlb", alpha=alpha)
        self.kept: tuple[Batch, Tensor] | None = None
        """First half of the last batch, and the student's output for it."""
        self.seen: tuple[Batch, Tensor] | None = None
        """The same of the present batch, kept when the step ends."""

    def prepare(self, source: PatchSource) -> None:
        even = source.batch_size % 2 == 0
        require("dlb: data.batch_size", source.batch_size, even, "even")

    def loss(self, batch: Batch) -> LossReport:
        self.check_begun()
        whole = self.rearranged(batch)
        sr = self.student(whole.lr).float()
        self.seen = first_half(whole), sr[: len(sr) // 2].detach()
        return self.report(self.compared(whole, sr), ())

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        whole = self.rearranged(batch)
        return self.compared(whole, self.student(whole.lr).float()), ()

    def rearranged(self, batch: Batch) -> Batch:
        """The first half of `batch`, then the first half of the one before. The very first batch
        stays as it is."""
        if self.kept is None:
            return batch
        fresh, (repeated, _) = first_half(batch), self.kept
        origin = None
        if fresh.origin is not None and repeated.origin is not None:
            origin = Origin(*map(torch.cat, zip(fresh.origin, repeated.origin, strict=True)))
        return Batch(torch.cat((fresh.lr, repeated.lr)), torch.cat((fresh.hr, repeated.hr)), origin)

    def compared(self, whole: Batch, sr: Tensor) -> dict[str, Tensor]:
        terms = {"l1": (sr - whole.hr).abs().mean()}
        if self.kept is not None and self.weights["last"] != 0:
            last = self.kept[1]  # of a batch that may have had another size
            terms["last"] = (sr[-len(last) :] - last).abs().mean()
        return terms

    def end_step(self) -> None:
        super().end_step()
        self.kept = self.seen

    def state(self) -> dict[str, Any]:
        if self.kept is None:
            return {"kept": None}
        batch, sr = self.kept
        return {"kept": [batch.lr, batch.hr, list(batch.origin or ()), sr]}

    def load_state(self, state: dict[str, Any]) -> None:
        self.kept = None
        if state["kept"] is not None:
            device = next(self.student.parameters()).device
            lr, hr, origin, sr = state["kept"]
            origin = Origin(*(field.to(device) for field in origin)) if origin else None
            self.kept = Batch(lr.to(device), hr.to(device), origin), sr.to(device)


def first_half(batch: Batch) -> Batch:
    half = batch.lr.shape[0] // 2
    require("dlb: data.batch_size", len(batch.lr), half >= 1, "at least 2")
    origin = batch.origin and Origin(*(field[:half] for field in batch.origin))
    return Batch(batch.lr[:half], batch.hr[:half], origin)
