"""Controls without an information term: plain training with one of three published answers to
cameras that nobody trained on.

    reflash dropout   whole channels of Z are dropped in training
                      (Kong et al., CVPR 2022, arXiv:2112.12089)
    L2 to the start   + lambda_start sum |theta - theta_0|^2
                      (Li et al., ICML 2018, arXiv:1802.01483)
    V-REx             + lambda_variance Var over groups of the group's L1
                      (Krueger et al., ICML 2021, arXiv:2003.00688)

All gradients reach the student only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ibsd.data.patches import PatchSource
from ibsd.distillation.objective import Objective
from ibsd.students.student import Student
from ibsd.types import Batch, InputError, require, require_not_negative


class Regularised(Objective):
    """L1 with dropout at Z, a pull to the start, or equal losses of groups. With all three 0 it
    trains bit-identically to `Plain`.

    Args:
        student: the network to train.
        dropout: share of the channels of Z that are dropped, each image its own; below 1.
        lambda_start: weight of the squared distance to the weights before training, summed.
        lambda_variance: weight of the variance of L1 over the groups of a batch
            (`PatchSource.groups`, config key data.groups).
        seed: of the generator of dropped channels.
    """

    def __init__(
        self,
        student: Student,
        *,
        dropout: float = 0.0,
        lambda_start: float = 0.0,
        lambda_variance: float = 0.0,
        seed: int = 0,
    ) -> None:
        weights = {"l1": 1.0, "start": lambda_start, "variance": lambda_variance}
        super().__init__(student, weights)
        require("regularised: dropout", dropout, 0 <= dropout < 1, "0 or more and below 1")
        require_not_negative("regularised", lambda_start=lambda_start)
        require_not_negative("regularised", lambda_variance=lambda_variance)
        self.dropout = dropout
        self.generator = torch.Generator().manual_seed(seed)
        self.start = [p.detach().clone() for p in student.parameters()] if lambda_start else []
        self.groups: Tensor | None = None

    def prepare(self, source: PatchSource) -> None:
        self.groups = source.groups
        if self.weights["variance"] != 0 and (self.groups is None or len(self.groups.unique()) < 2):
            raise InputError(
                "regularised: lambda_variance compares groups of training images, and there is "
                "one; set data.groups to two or more patterns of names"
            )

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        error = (self.super_resolved(batch.lr) - batch.hr).abs()
        terms = {"l1": error.mean()}
        if self.weights["start"] != 0:
            parameters = zip(self.student.parameters(), self.start, strict=True)
            terms["start"] = torch.stack([(p - p0).square().sum() for p, p0 in parameters]).sum()
        if self.weights["variance"] != 0:
            if self.groups is None or batch.origin is None:
                raise InputError(
                    "regularised: lambda_variance compares groups of training images: train with "
                    "ibsd.training.Trainer, which knows where patches come from"
                )
            groups = self.groups.to(batch.origin.image.device)[batch.origin.image]
            means = [error[groups == group].mean() for group in groups.unique()]
            terms["variance"] = torch.stack(means).var(correction=0)
        return terms, ()

    def super_resolved(self, lr: Tensor) -> Tensor:
        """SR in fp32, with channels of Z dropped."""
        if self.dropout == 0:
            return self.student(lr).float()

        def drop(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            cut = inputs[0]
            kept = torch.rand(cut.shape[:2], generator=self.generator) >= self.dropout
            mask = kept.to(cut)[:, :, None, None] / (1 - self.dropout)
            return (cut * mask, *inputs[1:])

        handle = self.student.cut_module().register_forward_pre_hook(drop)
        try:
            return self.student(lr).float()
        finally:
            handle.remove()

    def state(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "start": self.start}

    def load_state(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        self.start = [
            p.to(q)
            for p, q in zip(state["start"], self.student.parameters(), strict=bool(state["start"]))
        ]
