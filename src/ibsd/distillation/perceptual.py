"""Training for how an image looks as well as for its pixels: L1, LPIPS, a penalty on the
upscaler's grid, and a discriminator if asked. No self-distillation. A finish for weights that
people use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ibsd.distillation.discriminator import Adversary, at_changing_phases
from ibsd.distillation.objective import Objective, ramp_factor
from ibsd.metrics.perceptual import MINIMUM_SIZE_PX, Lpips
from ibsd.students.student import Student
from ibsd.types import Batch, require, require_not_negative

PERIOD_PX = 4
"""Stride of AlexNet's first convolution."""

WINDOW_PERIODS = 8
"""Side of the windows over which the grid is read, in periods of the upscaler."""


class Perceptual(Objective):
    """L1(SR, HR) + lambda_lpips * LPIPS(SR, HR) (AlexNet, v0.1: Zhang et al., CVPR 2018,
    arXiv:1801.03924) + lambda_grid * grid(SR - HR) + lambda_adversarial * softplus(D(HR) - D(SR)).

    LPIPS rewards texture. The cheapest texture for a sub-pixel upscaler is a pattern of its own
    period, which `grid` penalises. Weights that were trained on a metric cannot be judged by it:
    look at other metrics and at the images.

    Args:
        lambda_lpips: weight of LPIPS.
        lambda_grid: weight of `grid`. With all weights 0, training is plain.
        num_patches: LPIPS sees this many patches of each batch, the last ones. It costs about as
            much as a small student.
        lambda_adversarial: weight of the discriminator's verdict (`discriminator.py`). With 0 there
            is no discriminator.
        adversarial_warm_up: updates during which the discriminator learns and has no weight.
        discriminator_learning_rate: of its own Adam.
        discriminator_width: channels of its first layer.
        seed: of its initial weights, which leave the global generator untouched.
    """

    deferrable = True

    def __init__(
        self,
        student: Student,
        lambda_lpips: float = 0.05,
        lambda_grid: float = 1.0,
        num_patches: int = 4,
        lambda_adversarial: float = 0.0,
        adversarial_warm_up: int = 0,
        discriminator_learning_rate: float = 1e-4,
        discriminator_width: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__(student, {"l1": 1.0, "lpips": lambda_lpips, "grid": lambda_grid})
        require_not_negative("perceptual", lambda_lpips=lambda_lpips, lambda_grid=lambda_grid)
        require_not_negative("perceptual", lambda_adversarial=lambda_adversarial)
        require_not_negative("perceptual", adversarial_warm_up=adversarial_warm_up)
        width, rate = discriminator_width, discriminator_learning_rate
        require_not_negative("perceptual", discriminator_learning_rate=rate)
        require("perceptual: num_patches", num_patches, num_patches >= 1, "at least 1")
        require("perceptual: discriminator_width", width, width >= 1, "at least 1")
        self.num_patches = num_patches
        device = next(student.parameters()).device
        self.lpips = Lpips().to(device)
        self.lambda_adversarial = lambda_adversarial
        self.adversarial_warm_up = adversarial_warm_up
        self.adversary: Adversary | None = None
        if lambda_adversarial > 0:
            self.scheduled = True
            self.weights["adversarial"] = lambda_adversarial
            self.adversary = Adversary(device, width, rate, seed)

    def defer(self) -> None:
        if self.adversary:
            self.adversary.defer()

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr = self.student(batch.lr).float()
        sr_part = sr[-self.num_patches :]
        hr_part = batch.hr[-self.num_patches :]
        # Each process goes on where the one before ends, as one with the whole batch would.
        first = self.processes.rank * len(sr_part)
        lpips = self.lpips(at_every_phase(sr_part, first), at_every_phase(hr_part, first)).mean()
        error = sr - batch.hr
        own_grid = grid(error, self.student.spec.scale)
        terms = {"l1": error.abs().mean(), "lpips": lpips, "grid": own_grid}
        if not self.adversary:
            return terms, ()
        step = self.current_step
        if step is not None:  # between updates the last weight stays
            ramp = ramp_factor(step, self.adversarial_warm_up, 0)
            self.weights["adversarial"] = self.lambda_adversarial * ramp
        first = (step or 0) * len(sr)
        sr, hr = at_changing_phases(sr, first), at_changing_phases(batch.hr, first)
        if self.weights["adversarial"] != 0:
            terms["adversarial"] = self.adversary.term(sr, hr)
        return terms, (sr.detach(), hr)

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        if not self.adversary:
            return {}
        sr, hr = nodes
        return {"discriminator": self.adversary.learn(sr, hr, self.accepted)}

    def state(self) -> dict[str, Any]:
        own = {"adversary": self.adversary.state()} if self.adversary else {}
        return super().state() | own

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if self.adversary:
            self.adversary.load_state(state["adversary"])


def at_every_phase(images: Tensor, first: int = 0) -> Tensor:
    """[N, 3, H, W] -> [N, 3, H - 3, W - 3]: every image is cut at another of the 16 phases of
    AlexNet's first convolution, which steps four pixels.

    An upscaler by four has the same steps. If both always started in the same corner, training
    would find patterns of period four that LPIPS takes for texture, because it looks at the same
    pixel of each period. The image would get a fine grid. Images of 31 to 33 pixels, the least that
    LPIPS takes, are cut by less and so at fewer phases.
    """
    height, width = images.shape[-2:]
    rows, columns = (
        max(size - PERIOD_PX + 1, min(size, MINIMUM_SIZE_PX)) for size in (height, width)
    )
    parts: list[Tensor] = []
    for number, image in enumerate(images, start=first):
        top, left = divmod((PERIOD_PX + 1) * number % PERIOD_PX**2, PERIOD_PX)
        top, left = min(top, height - rows), min(left, width - columns)
        parts.append(image[:, top : top + rows, left : left + columns])
    return torch.stack(parts)


def grid(error: Tensor, period: int) -> Tensor:
    """Mean absolute pattern of the upscaler's period in an error [N, C, H, W], a scalar with a
    graph.

    In windows of WINDOW_PERIODS periods a side (half overlapping; smaller where the image is), the
    error is averaged over all pixels at the same place of the period. Wrong texture averages out.
    What differs between places repeats with the network's own step. The result is 0 where the error
    is the same at all places.
    """
    places: Tensor = F.pixel_unshuffle(error, period).unflatten(1, (-1, period * period))
    side: int = min(WINDOW_PERIODS, *places.shape[-2:])
    means = F.avg_pool2d(places.flatten(0, 1), side, stride=max(side // 2, 1))
    return (means - means.mean(1, keepdim=True)).abs().mean()
