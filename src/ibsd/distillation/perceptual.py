"""Training for how an image looks as well as for its pixels: L1, LPIPS, texture, and penalties on
the upscaler's grid. No self-distillation. A finish for weights that people use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ibsd.data.degradation import Range
from ibsd.distillation.objective import Objective
from ibsd.distillation.shift import shift_distance
from ibsd.distillation.texture import texture_distance
from ibsd.metrics.perceptual import MINIMUM_SIZE_PX, Lpips
from ibsd.students.student import Student
from ibsd.types import Batch, InputError, require

PERIOD_PX = 4
"""Stride of AlexNet's first convolution."""

WINDOW_PERIODS = 8
"""Side of the windows over which the grid is read, in periods of the upscaler."""


class Perceptual(Objective):
    """L1(SR, HR) + lambda_lpips * LPIPS(SR, HR) (AlexNet, v0.1: Zhang et al., CVPR 2018,
    arXiv:1801.03924) + lambda_texture * texture_distance(SR, HR) + lambda_grid * grid(SR - HR) +
    lambda_shift * shift_distance.

    LPIPS rewards texture. The cheapest texture for a sub-pixel upscaler is a pattern of its own
    period, which `grid` penalises. Weights that were trained on a metric cannot be judged by it:
    look at other metrics and at the images.

    Args:
        lambda_lpips: weight of LPIPS.
        lambda_grid: weight of `grid`.
        num_patches: LPIPS sees this many patches of each batch, the last ones. It costs about as
            much as a small student.
        lambda_texture: weight of `texture_distance`, over the whole batch. With all weights 0,
            training is plain.
        zoom: least and greatest factor by which SR and HR are resized before LPIPS, drawn for each
            patch and step. The upscaler's grid then has another period each time, and none that
            pays.
        lambda_shift: weight of `shift_distance`, at a shift drawn for each step. It costs a third
            of a student's step.
    """

    deferrable = True

    def __init__(
        self,
        student: Student,
        lambda_lpips: float = 0.05,
        lambda_grid: float = 1.0,
        num_patches: int = 4,
        lambda_texture: float = 0.0,
        zoom: Range = (1.0, 1.0),
        lambda_shift: float = 0.0,
    ) -> None:
        if min(lambda_lpips, lambda_grid) < 0 or num_patches < 1:
            raise InputError(
                f"perceptual: lambda_lpips is {lambda_lpips}, lambda_grid {lambda_grid} and "
                f"num_patches {num_patches}; they must be at least 0, 0 and 1"
            )
        require("perceptual: zoom", zoom, 0 < zoom[0] <= zoom[1], "two factors above 0 that rise")
        weights = {"l1": 1.0, "lpips": lambda_lpips, "grid": lambda_grid}
        for name, weight in (("texture", lambda_texture), ("shift", lambda_shift)):
            require(f"perceptual: lambda_{name}", weight, weight >= 0, "at least 0")
            weights[name] = weight
        super().__init__(student, weights)
        self.num_patches = num_patches
        self.zoom = zoom
        self.factors = [1.0] * num_patches
        self.shift = (1, 1)
        self.lpips = Lpips().to(next(student.parameters()).device)

    def begin_step(self, step: int, num_steps: int) -> None:
        super().begin_step(step, num_steps)
        generator = torch.Generator().manual_seed(step)
        low, high = self.zoom
        chance = torch.rand(self.num_patches, generator=generator)
        self.factors = (low * (high / low) ** chance).tolist()
        scale = self.student.spec.scale
        place = int(torch.randint(1, max(scale**2, 2), (), generator=generator))
        self.shift = divmod(place, scale)

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr = self.student(batch.lr).float()
        sr_part = sr[-self.num_patches :]
        hr_part = batch.hr[-self.num_patches :]
        # Each process goes on where the one before ends, as one with the whole batch would.
        first = self.processes.rank * len(sr_part)
        error = sr - batch.hr
        terms = {"l1": error.abs().mean(), "lpips": self.lpips_of(sr_part, hr_part, first).mean()}
        terms["grid"] = grid(error, self.student.spec.scale)
        if self.weights["texture"] != 0:
            terms["texture"] = texture_distance(sr, batch.hr)
        if self.weights["shift"] != 0:
            terms["shift"] = shift_distance(self.student, batch.lr, sr, *self.shift)
        return terms, ()

    def lpips_of(self, sr: Tensor, hr: Tensor, first: int) -> Tensor:
        """LPIPS of each pair, resized by its factor and cut at its phase, [N]."""
        if self.zoom == (1.0, 1.0):
            return self.lpips(at_every_phase(sr, first), at_every_phase(hr, first))
        distances: list[Tensor] = []
        for k, factor in enumerate(self.factors[: len(sr)]):
            pair = (at_every_phase(resized(x[k : k + 1], factor), first + k) for x in (sr, hr))
            distances.append(self.lpips(*pair))
        return torch.cat(distances)


def resized(images: Tensor, factor: float) -> Tensor:
    """[N, 3, H, W] -> [N, 3, factor H, factor W], sides rounded down but at least what LPIPS takes;
    bicubic, without aliasing."""
    size = [max(int(factor * side), MINIMUM_SIZE_PX) for side in images.shape[-2:]]
    return F.interpolate(images, size, mode="bicubic", antialias=True)


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
