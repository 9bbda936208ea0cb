"""Control for IBSD: a penalty on the size of the features alone.

    L = L1(SR, HR) + lambda_norm * mean_k mean(F_k^2) + lambda_hf * wavelet_loss(SR, T_t)

Smaller features lower an information bound although nothing is forgotten. If this control does as
well as IBSD, the information term is no more than a weight decay. Ramp, soft target and wavelet
loss are those of `ibsd.py`. All gradients reach the student only, and no auxiliary part learns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ibsd.distillation.diagnostics import flipped_share, node_scales
from ibsd.distillation.objective import Objective, ramp_factor
from ibsd.distillation.soft_target import PastSource, SoftTarget
from ibsd.distillation.wavelet import wavelet_loss
from ibsd.students.student import Student
from ibsd.types import Batch, require_not_negative


class FeatureNorm(Objective):
    """Penalty on feature norm. With both weights 0 it trains bit-identically to `Plain`.

    Args:
        student: the network to train.
        lambda_norm: weight of the mean square per element, averaged over the nodes.
        lambda_hf, final_share, period, soft_target, warm_up, ramp, levels: as for `IBSD`. By
            default the wavelet loss is off.
    """

    deferrable = True
    joint = True
    scheduled = True

    def __init__(
        self,
        student: Student,
        *,
        lambda_norm: float = 1e-2,
        lambda_hf: float = 0.0,
        final_share: float = 0.8,
        period: int = 500,
        soft_target: PastSource = "bank",
        warm_up: int = 200,
        ramp: int = 1000,
        levels: int = 4,
    ) -> None:
        super().__init__(student, {"l1": 1.0, "norm": lambda_norm, "wavelet": lambda_hf})
        require_not_negative("feature-norm", lambda_norm=lambda_norm, lambda_hf=lambda_hf)
        require_not_negative("feature-norm", warm_up=warm_up, ramp=ramp)
        self.lambda_norm = lambda_norm
        self.warm_up = warm_up
        self.ramp_steps = ramp
        self.levels = levels
        self.soft_target = self.past = SoftTarget(student, soft_target, final_share, period)

    def begin_step(self, step: int, num_steps: int) -> None:
        super().begin_step(step, num_steps)
        self.weights["norm"] = self.lambda_norm * ramp_factor(step, self.warm_up, self.ramp_steps)

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr, nodes = self.student.trace(batch.lr)
        sr = sr.float()
        terms = {"l1": (sr - batch.hr).abs().mean()}
        if self.weights["norm"] != 0:
            terms["norm"] = feature_norm(nodes)
        if self.weights["wavelet"] != 0:
            terms["wavelet"] = wavelet_loss(sr, self.soft_target(batch), self.levels)
        return terms, ()

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        diagnostics = super().diagnostics(batch)
        with torch.no_grad():
            sr, nodes = self.student.trace(batch.lr)
            diagnostics |= node_scales(nodes)
            diagnostics["soft_target/share"] = self.soft_target.share
            if self.weights["wavelet"] != 0:
                diagnostics["soft_target/flipped"] = flipped_share(
                    sr.float(), batch.hr, self.soft_target(batch), self.levels
                )
        return diagnostics


def feature_norm(nodes: Sequence[Tensor]) -> Tensor:
    """Mean over nodes of the mean square per element, a scalar in fp32 (or fp64), with gradients to
    every node.

    Check by hand: nodes of all ones and all threes give 5.
    """
    exact = [node.to(torch.promote_types(node.dtype, torch.float32)) for node in nodes]
    return torch.stack([node.square().mean() for node in exact]).mean()
