"""A training loop of your own around an objective, in a few lines.

`ibsd.training.Trainer` does more: it guards, averages weights, writes checkpoints and validates.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.optim import Optimizer

from ibsd.distillation.objective import Objective
from ibsd.types import Batch, InputError, LossReport, require


class Loop:
    """Updates a student by an objective, with the objective's calls in their order.

    The order gives the objective its schedule: IBSD's warm-up and ramp, and the soft target of its
    past. On the same batches, with the same optimiser and learning rate, the weights are those of
    `Trainer`, bit for bit.

    Args:
        objective: what to minimise, and its auxiliary parts.
        optimizer: of `objective.student`'s parameters. Its learning rate is the caller's.
        num_steps: updates of the whole run. Schedules are stretched over it.
    """

    def __init__(self, objective: Objective, optimizer: Optimizer, num_steps: int) -> None:
        require("num_steps", num_steps, num_steps >= 1, "at least 1")
        self.objective = objective
        self.optimizer = optimizer
        self.num_steps = num_steps
        self.step = 0
        """Updates so far."""
        objective.student.train()

    def update(self, lr: Tensor, hr: Tensor) -> LossReport:
        """One update of the student, then of the auxiliary parts.

        Args:
            lr: [N, 3, h, w], RGB in [0, 1].
            hr: [N, 3, s*h, s*w], RGB in [0, 1].

        Returns:
            The total, the terms and the losses of the auxiliary parts, all detached.

        Errors: InputError for tensors of another kind or size, and after `num_steps` updates.
        """
        check_batch(lr, hr, self.objective.student.spec.scale)
        if self.step >= self.num_steps:
            raise InputError(f"all {self.num_steps} updates are made; give Loop a larger num_steps")
        self.objective.begin_step(self.step, self.num_steps)
        report = self.objective.loss(Batch(lr, hr))
        self.optimizer.zero_grad(set_to_none=True)
        report.total.backward()
        self.optimizer.step()
        auxiliary = self.objective.auxiliary_step(report.nodes)
        self.objective.end_step()
        self.step += 1
        return replace(report, total=report.total.detach(), terms=report.terms | auxiliary)


def check_batch(lr: Tensor, hr: Tensor, scale: int) -> None:
    """InputError unless HR is RGB in floating point, and `scale` times LR. Students check LR."""
    if not hr.is_floating_point():
        raise InputError(f"hr is {hr.dtype}; it must be float in [0, 1]: take hr.float() / 255")
    count, channels, height, width = lr.shape if lr.dim() == 4 else (0, 0, 0, 0)
    if not count or hr.shape != (count, channels, scale * height, scale * width):
        raise InputError(
            f"hr is {list(hr.shape)} and lr {list(lr.shape)}; "
            f"they must be [N, 3, {scale}h, {scale}w] and [N, 3, h, w], N at least 1"
        )
