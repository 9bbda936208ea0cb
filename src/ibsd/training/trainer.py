"""The training loop: an objective, a source of patches, and everything that makes a run safe to
leave alone.

One update is `begin_step`, loss, backward, guard, the student's optimiser, the running average, the
auxiliary step, `end_step`. After it, in this order where due: log, health figures, validation,
checkpoint. A checkpoint therefore stands for all that came before it, and a run resumed from it
goes on bit for bit on the CPU as if it had never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ibsd.data.patches import PatchSource
from ibsd.distillation.objective import Objective
from ibsd.distillation.optimizers import skip_where_refused, with_fused
from ibsd.distributed import ALONE, Processes
from ibsd.students.ema import WeightAverage
from ibsd.students.student import Student
from ibsd.training.checkpoint import load_newest, save_checkpoint
from ibsd.training.guard import Guard
from ibsd.training.options import TrainingOptions
from ibsd.training.tracking import Tracker
from ibsd.types import Batch, InputError, LossReport


@dataclass
class TrainingResult:
    """How a run ended."""

    step: int
    finished: bool
    reason: str
    """Why it stopped; "finished" if it ran to the end."""
    best_score: float
    best_step: int
    skipped: int
    seconds: float
    """Of training by this process, validation included."""


class Trainer:
    """Trains `objective.student` on `source`.

    Args:
        objective: what to minimise, and its auxiliary parts.
        source: where batches come from.
        options: how long and how.
        deferred: the host never waits for the device within a step: a step that the guard refuses
            is computed and then not taken, by masks on the device, and counted when word of it
            arrives. Needs an objective that can do so (`Objective.deferrable`) and torch's fused
            Adam, which differs from the other one in rounding. Default: on CUDA where the objective
            can; on the CPU there is nothing to wait for.
        checkpoints: folder for checkpoints, or None for none.
        validate: (averaged student, step) -> figures; `primary` among them is the score whose best
            step is remembered.
        on_best: called with the averaged student and the step when the score is the best so far.
        trackers: where figures go.
        log: takes sentences for the user: alarms, skips, resumes.
        on_step: called after every update with (step, latest logged terms); for progress bars.
        stop_requested: asked after every update; a reason ends the run after saving.
        processes: those that train together, each on its part of every batch (`PatchSource`):
            gradients, verdicts and figures are averaged, the first one writes checkpoints,
            `validate` shares the work out itself.
    """

    def __init__(
        self,
        objective: Objective,
        source: PatchSource,
        options: TrainingOptions = TrainingOptions(),  # noqa: B008  (frozen)
        *,
        deferred: bool | None = None,
        checkpoints: Path | None = None,
        validate: Callable[[Student, int], dict[str, float]] | None = None,
        primary: str = "",
        on_best: Callable[[Student, int], None] | None = None,
        trackers: Sequence[Tracker] = (),
        log: Callable[[str], None] = lambda sentence: None,
        on_step: Callable[[int, dict[str, float]], None] | None = None,
        stop_requested: Callable[[], str | None] = lambda: None,
        processes: Processes = ALONE,
    ) -> None:
        if processes.world_size > 1 and not objective.joint:
            raise InputError(
                f"{type(objective).__name__} cannot be trained by several processes; start one, or take another objective"
            )
        self.processes = objective.processes = processes
        self.objective = objective
        self.source = source
        self.options = options
        self.memory_format = (
            torch.channels_last if options.channels_last else torch.contiguous_format
        )
        self.checkpoints = checkpoints
        self.validate = validate
        self.primary = primary
        self.on_best = on_best
        self.trackers = trackers
        self.log = log
        self.on_step = on_step
        self.stop_requested = stop_requested

        self.student = objective.student.to(memory_format=self.memory_format).train()  # type: ignore[call-overload]
        self.average = WeightAverage(self.student, options.ema_decay)
        family = torch.optim.AdamW if options.weight_decay else torch.optim.Adam
        self.deferred = (
            source.device.type == "cuda" and objective.deferrable if deferred is None else deferred
        )
        self.optimizer = family(
            self.student.parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            fused=self.deferred or None,
        )
        if self.deferred:
            objective.defer()
        if options.compile_mode:  # `run` of this student alone: copies of it drop that
            self.student.run = torch.compile(self.student.run, mode=options.compile_mode)
        self.guard = Guard(
            source.device, options.skip_threshold, lambda sentence: self.log(sentence)
        )
        self.step = 0
        self.best_score, self.best_step = -math.inf, 0
        self.window: dict[str, Tensor] = {}
        self.window_steps: int | Tensor = 0
        self.latest: dict[str, float] = {}
        objective.prepare(source)

    # -- one update
    # ---------------------------------------------------------------------------------------------------------

    def update(self) -> Batch:
        """One step: the student learns, then the auxiliary parts. Returns the batch."""
        factor = self.options.schedule.factor(self.step, self.options.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * factor
        batch = self.source.next_batch()
        batch = batch._replace(lr=batch.lr.to(memory_format=self.memory_format))
        self.objective.begin_step(self.step, self.options.num_steps)
        with self.autocast():
            report = self.objective.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        accepted = self.guard.judge(self.processes.all_reduce_mean(report.total))
        if self.deferred or bool(accepted):
            report.total.backward()
            self.processes.average_gradients(self.student.parameters())
            norm = torch.nn.utils.clip_grad_norm_(
                self.student.parameters(), self.options.clip_norm or math.inf
            )
            accepted = accepted & torch.isfinite(norm)
            if self.deferred or bool(accepted):
                self.learn(report, accepted)
        self.guard.conclude(self.step, accepted)
        self.objective.end_step()
        self.step += 1
        return batch

    def learn(self, report: LossReport, accepted: Tensor) -> None:
        """All that an accepted step changes; where deferred, masked by `accepted`."""
        mask = accepted if self.deferred else None
        if mask is not None:
            skip_where_refused(self.optimizer, mask)
        self.optimizer.step()
        self.average.update(self.student, mask)
        self.objective.accepted = mask
        auxiliary = self.objective.auxiliary_step(report.nodes)
        self.remember(report.terms | auxiliary, mask)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(
            self.source.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"
        )

    def remember(self, terms: dict[str, Tensor], mask: Tensor | None) -> None:
        """Adds to the sums that the next log line divides; on the device, so that nothing waits for
        the host."""
        for name, value in terms.items():
            value = value if mask is None else torch.where(mask, value, 0)
            self.window[name] = self.window[name] + value if name in self.window else value.clone()
        self.window_steps = self.window_steps + (1 if mask is None else mask.long())

    @property
    def mean_loss(self) -> float:
        """Running mean of the loss over accepted steps."""
        return float(self.guard.mean)

    @property
    def skipped(self) -> int:
        return self.guard.skipped

    @property
    def consecutive_skips(self) -> int:
        return self.guard.consecutive

    # -- the run
    # ------------------------------------------------------------------------------------------------------------

    def run(self) -> TrainingResult:
        """Trains to the end, or until stopped; saves either way. Can be called on a resumed
        trainer."""
        started = time.perf_counter()
        try:
            reason = self.run_steps()
            self.guard.wait()
            if (
                self.consecutive_skips < self.options.max_consecutive_skips
            ):  # a ruined state must not replace a good one
                self.save()
        finally:
            for tracker in self.trackers:
                tracker.close()
        seconds = time.perf_counter() - started
        return TrainingResult(
            self.step,
            reason == "finished",
            reason,
            self.best_score,
            self.best_step,
            self.skipped,
            seconds,
        )

    def run_steps(self) -> str:
        """Updates until the end or a reason to stop, which it returns; "finished" at the end."""
        reason = "finished"
        while self.step < self.options.num_steps and reason == "finished":
            self.report(self.update())
            if self.consecutive_skips >= self.options.max_consecutive_skips:
                reason = (
                    f"{self.consecutive_skips} steps in a row had to be skipped; lower training.learning_rate or the weights of the objective, "
                    "and resume from an earlier checkpoint"
                )
            elif self.step < self.options.num_steps:
                asked = self.stop_requested()
                if self.processes.any(asked is not None):
                    reason = asked or "stopped with the other processes"
        return reason

    def report(self, batch: Batch) -> None:
        """Log, figures, validation and checkpoint, each where due."""
        ends = self.step == self.options.num_steps
        if (_due(self.step, self.options.log_every) or ends) and (steps := int(self.window_steps)):
            self.latest = self.processes.mean_values(
                {name: float(value) / steps for name, value in self.window.items()}
            )
            self.window, self.window_steps = {}, 0
            self.track(
                {f"term/{name}": value for name, value in self.latest.items()}
                | {"learning_rate": self.optimizer.param_groups[0]["lr"]}
            )
        if _due(self.step, self.options.diagnostics_every):
            with self.autocast():
                figures = self.processes.mean_values(self.objective.diagnostics(batch))
            sentences = self.objective.alarms(figures)
            self.track(figures | {"alarms": float(len(sentences))})
            for sentence in sentences:
                self.log(f"step {self.step}: {sentence}")
        if self.validate and (_due(self.step, self.options.validate_every) or ends):
            scores = {
                name: float(score)
                for name, score in self.validate(self.average.student, self.step).items()
            }  # NumPy's too
            self.track({f"val/{name}": value for name, value in scores.items()})
            if self.primary and scores[self.primary] > self.best_score:
                self.best_score, self.best_step = scores[self.primary], self.step
                if self.on_best:
                    self.on_best(self.average.student, self.step)
        if _due(self.step, self.options.checkpoint_every):
            self.guard.wait()
            if not self.consecutive_skips:  # a streak must not push the good ones out
                self.save()
        if self.on_step:
            self.on_step(self.step, self.latest)

    def track(self, figures: dict[str, float]) -> None:
        for tracker in self.trackers:
            tracker.write(self.step, figures)

    # -- checkpoints
    # --------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        if self.checkpoints is not None and self.processes.is_main:
            save_checkpoint(self.checkpoints, self.step, self.state(), self.options.keep)

    def resume(self) -> bool:
        """Takes up the newest intact checkpoint, if there is one."""
        assert self.checkpoints is not None
        found = load_newest(self.checkpoints, self.log)
        if found is None:
            return False
        step, state = found
        if step > self.options.num_steps:
            raise InputError(
                f"{self.checkpoints}: stands at step {step}, beyond training.num_steps = {self.options.num_steps}; raise num_steps"
            )
        if (wrote := state["processes"]) != self.processes.world_size:
            raise InputError(
                f"{self.checkpoints}: written by {wrote} processes, and this is a run of {self.processes.world_size}, which rounds differently; "
                f"resume with {wrote}, or start in another folder"
            )
        try:
            self.load_state(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.checkpoints}: the checkpoint of step {step} is of another run ({str(error).splitlines()[0]}); "
                "resume with the settings that wrote it, or train in another folder"
            ) from error
        return True

    def state(self) -> dict[str, Any]:
        """All that the next update depends on."""
        return {
            "step": self.step,
            "student": self.student.state_dict(),
            "average": self.average.state(),
            "optimizer": self.optimizer.state_dict(),
            "objective": self.objective.state(),
            "source": self.source.state(),
            "generator": torch.get_rng_state(),
            "guard": self.guard.state(),
            "best": [self.best_score, self.best_step],
            "window": [self.window, int(self.window_steps), self.latest],
            "processes": self.processes.world_size,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.student.load_state_dict(state["student"])
        self.average.load_state(state["average"])
        self.optimizer.load_state_dict(with_fused(state["optimizer"], self.deferred or None))
        self.objective.load_state(state["objective"])
        self.source.load_state(state["source"])
        torch.set_rng_state(state["generator"])
        self.guard.load_state(state["guard"], self.average.updates)
        self.best_score, self.best_step = state["best"]
        window, self.window_steps, self.latest = state["window"]
        self.window = {name: value.to(self.source.device) for name, value in window.items()}


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
