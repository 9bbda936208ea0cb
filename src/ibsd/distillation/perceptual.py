"""L1 and LPIPS: training for how a picture looks as well as for its pixels. Not a self-distillation; a finish for weights that people use."""

from __future__ import annotations

from torch import Tensor

from ibsd.distillation.objective import Objective
from ibsd.metrics.perceptual import Lpips
from ibsd.students.student import Student
from ibsd.types import Batch, InputError


class Perceptual(Objective):
    """L1(SR, HR) + lambda_lpips * LPIPS(SR, HR) (AlexNet, v0.1: Zhang et al., CVPR 2018).

    Whoever trains on a metric cannot be judged by it alone: such weights want other metrics and eyes beside it.

    Args:
        lambda_lpips: weight of LPIPS; 0 leaves plain training.
        num_patches: so many patches of each batch, the last ones, are looked at by LPIPS, which costs about as much as a small student.
    """

    deferrable = True

    def __init__(self, student: Student, lambda_lpips: float = 0.05, num_patches: int = 4) -> None:
        if lambda_lpips < 0 or num_patches < 1:
            raise InputError(f"perceptual: lambda_lpips = {lambda_lpips} and num_patches = {num_patches}; 0 and 1 are the least")
        super().__init__(student, {"l1": 1.0, "lpips": lambda_lpips})
        self.num_patches = num_patches
        self.lpips = Lpips().to(next(student.parameters()).device)

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr = self.student(batch.lr).float()
        looked_at = slice(-self.num_patches, None)
        return {"l1": (sr - batch.hr).abs().mean(), "lpips": self.lpips(sr[looked_at], batch.hr[looked_at]).mean()}, ()
