"""L1 and LPIPS: training for how a picture looks as well as for its pixels. Not a self-distillation; a finish for weights that people use."""

from __future__ import annotations

import torch
from torch import Tensor

from ibsd.distillation.objective import Objective
from ibsd.metrics.perceptual import MINIMUM_SIZE_PX, Lpips
from ibsd.students.student import Student
from ibsd.types import Batch, InputError

PERIOD_PX = 4
"""Stride of AlexNet's first convolution."""
SMALLEST_PX = MINIMUM_SIZE_PX + PERIOD_PX - 1


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
        if min(batch.hr.shape[-2:]) < SMALLEST_PX:
            size = " x ".join(map(str, batch.hr.shape[-2:]))
            raise InputError(f"perceptual: HR patches of {size} px; LPIPS needs {SMALLEST_PX} x {SMALLEST_PX}: raise data.patch_px")
        looked_at = slice(-self.num_patches, None)
        lpips = self.lpips(at_every_phase(sr[looked_at]), at_every_phase(batch.hr[looked_at])).mean()
        return {"l1": (sr - batch.hr).abs().mean(), "lpips": lpips}, ()


def at_every_phase(pictures: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 3, H - 3, W - 3]: each cut at another of the 16 phases of AlexNet's first convolution, which steps four pixels.

    An upscaler by four has the same steps. Where both always start in the same corner, training finds patterns of period four that LPIPS, looking
    at the same pixel of each period, takes for texture: the picture gets a fine grid.
    """
    height, width = (size - PERIOD_PX + 1 for size in pictures.shape[-2:])
    corners = (divmod((PERIOD_PX + 1) * number % PERIOD_PX**2, PERIOD_PX) for number in range(len(pictures)))
    return torch.stack(
        [picture[:, top : top + height, left : left + width] for picture, (top, left) in zip(pictures, corners, strict=True)]
    )
