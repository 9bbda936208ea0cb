"""The training loop: an objective, a source of patches, and all that makes a run safe to leave
alone.

One update is `begin_step`, loss, backward, guard, the student's optimiser, the running average, the
auxiliary step, `end_step`. After it, in this order where due: log, diagnostics, validation,
checkpoint. A checkpoint therefore holds all that came before it. On the CPU a resumed run equals an
uninterrupted one, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
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
from ibsd.training.checkpoint import load_resumable, save_checkpoint
from ibsd.training.guard import Guard
from ibsd.training.loss_window import LossWindow
from ibsd.training.options import TrainingOptions
from ibsd.training.result import FINISHED, TrainingResult
from ibsd.training.tracking import Tracker
from ibsd.types import Batch, InputError, LossReport


class Trainer:
    """Trains `objective.student` on `source`.

    Args:
        objective: what to minimise, and its auxiliary parts.
        source: where batches come from.
        options: how long and how.
        deferred: whether the host never waits for the device within a step. A step that the guard
            refuses is then computed and not taken, by masks on the device. Needs an objective that
            is `deferrable`, and torch's fused Adam, which rounds differently. Default: on CUDA
            where the objective can.
        checkpoints: folder for checkpoints, or None for none.
        validate: (averaged student, step) -> scores by name.
        primary: the score whose best step is remembered.
        on_best: called with the averaged student and the step when that score is the best so far.
        trackers: receive losses, diagnostics and scores.
        log: receives sentences for the user: alarms, skips, resumes.
        on_step: called after every update with (step, latest mean losses), for progress bars.
        stop_requested: asked after every update. A reason ends the run after saving.
        processes: those that train together, each on its part of every batch (`PatchSource`).
            Gradients, verdicts and diagnostics are averaged. The main one writes checkpoints.
            `validate` shares its work out itself.
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
        if not processes.is_alone and not objective.joint:
            raise InputError(
                f"{type(objective).__name__} cannot be trained by several processes; start one"
            )
        self.processes = objective.processes = processes
        self.objective = objective
        self.source = source
        self.options = options
        self.checkpoints = checkpoints
        self.validate = validate
        self.primary = primary
        self.on_best = on_best
        self.trackers = trackers
        self.log = log
        self.on_step = on_step
        self.stop_requested = stop_requested
        can_defer = source.device.type == "cuda" and objective.deferrable
        self.deferred = can_defer if deferred is None else deferred

        last = options.channels_last
        self.memory_format = torch.channels_last if last else torch.contiguous_format
        self.student = objective.student.train()
        self.student.to(memory_format=self.memory_format)  # pyright: ignore
        self.average = WeightAverage(self.student, options.ema_decay, options.uniform_average)
        self.optimizer = build_optimizer(self.student, options, self.deferred)
        if self.deferred:
            objective.defer()
        if options.compile_mode:  # `run` of this student alone: copies of it drop that
            self.student.run = torch.compile(self.student.run, mode=options.compile_mode)
        self.guard = Guard(
            source.device, options.skip_threshold, lambda sentence: self.log(sentence)
        )
        self.step = 0
        self.best_score = -math.inf
        self.best_step = 0
        self.window = LossWindow()
        self.latest: dict[str, float] = {}
        objective.prepare(source)

    # -- one update

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
        accepted = self.guard.judge(self.processes.all_reduce_mean(report.total))
        if self.goes_on(accepted):
            accepted = accepted & self.backward(report.total)
            if self.goes_on(accepted):
                self.learn(report, accepted)
        self.guard.conclude(self.step, accepted)
        self.objective.end_step()
        self.step += 1
        return batch

    def goes_on(self, accepted: Tensor) -> bool:
        """Whether to compute the rest of a step. Where deferred, always: asking would be waiting
        for the device."""
        return self.deferred or bool(accepted)

    def backward(self, total: Tensor) -> Tensor:
        """The student's gradient, averaged over the processes and clipped. Returns whether it is
        finite, a bool on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.processes.average_gradients(self.student.parameters())
        largest = self.options.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), largest)
        return torch.isfinite(norm)

    def learn(self, report: LossReport, accepted: Tensor) -> None:
        """All that an accepted step changes. Where deferred, `accepted` masks it."""
        mask = accepted if self.deferred else None
        if mask is not None:
            skip_where_refused(self.optimizer, mask)
        self.optimizer.step()
        self.average.update(self.student, mask)
        self.objective.accepted = mask
        auxiliary = self.objective.auxiliary_step(report.nodes)
        self.window.add(report.terms | auxiliary, mask)

    def autocast(self) -> AbstractContextManager[Any]:
        bf16 = self.options.precision == "bf16"
        return torch.autocast(self.source.device.type, torch.bfloat16, enabled=bf16)

    # -- the run

    def run(self) -> TrainingResult:
        """Trains to the end, or until stopped, and saves either way. Goes on where a resumed
        trainer stands."""
        started = time.perf_counter()
        try:
            reason = self.run_steps()
            self.guard.wait()
            if not self.must_give_up:  # a ruined state must not replace a good one
                self.save()
        finally:
            for tracker in self.trackers:
                tracker.close()
        return TrainingResult(
            step=self.step,
            finished=reason == FINISHED,
            reason=reason,
            best_score=self.best_score,
            best_step=self.best_step,
            skipped=self.guard.skipped,
            seconds=time.perf_counter() - started,
        )

    def run_steps(self) -> str:
        """Updates until the end or a reason to stop, which it returns."""
        while self.step < self.options.num_steps:
            self.report(self.update())
            if self.must_give_up:
                return (
                    f"{self.guard.consecutive} steps in a row were skipped; lower "
                    "training.learning_rate or the objective's weights, and resume"
                )
            if self.step < self.options.num_steps:
                asked = self.stop_requested()
                if self.processes.any(asked is not None):
                    return asked or "stopped with the other processes"
        return FINISHED

    @property
    def must_give_up(self) -> bool:
        """Whether so many steps in a row were skipped that the run is ruined."""
        return self.guard.consecutive >= self.options.max_consecutive_skips

    def report(self, batch: Batch) -> None:
        """Log, diagnostics, validation and checkpoint, each where due."""
        options = self.options
        ends = self.step == self.options.num_steps
        if self.is_due(options.log_every) or ends:
            self.report_losses()
        if self.is_due(options.diagnostics_every):
            self.report_diagnostics(batch)
        if self.validate and (self.is_due(options.validate_every) or ends):
            self.report_scores(self.validate(self.average.student, self.step))
        if self.is_due(options.checkpoint_every):
            self.guard.wait()
            if not self.guard.consecutive:  # a streak must not push the good ones out
                self.save()
        if self.on_step:
            self.on_step(self.step, self.latest)

    def is_due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def report_losses(self) -> None:
        """Mean losses since the last report, unless every step since then was skipped."""
        if (means := self.window.take_means()) is None:
            return
        self.latest = self.processes.mean_values(means)
        losses = {f"term/{name}": value for name, value in self.latest.items()}
        self.track(losses | {"learning_rate": self.optimizer.param_groups[0]["lr"]})

    def report_diagnostics(self, batch: Batch) -> None:
        """The objective's diagnostics on a batch, and the alarms that they raise."""
        with self.autocast():
            diagnostics = self.processes.mean_values(self.objective.diagnostics(batch))
        sentences = self.objective.alarms(diagnostics)
        self.track(diagnostics | {"alarms": float(len(sentences))})
        for sentence in sentences:
            self.log(f"step {self.step}: {sentence}")

    def report_scores(self, scores: dict[str, float]) -> None:
        """Scores of a validation, and whether the primary one is the best so far."""
        scores = {name: float(score) for name, score in scores.items()}  # NumPy's numbers too
        self.track({f"val/{name}": score for name, score in scores.items()})
        if self.primary and scores[self.primary] > self.best_score:
            self.best_score = scores[self.primary]
            self.best_step = self.step
            if self.on_best:
                self.on_best(self.average.student, self.step)

    def track(self, values: dict[str, float]) -> None:
        for tracker in self.trackers:
            tracker.write(self.step, values)

    # -- checkpoints

    def save(self) -> None:
        if self.checkpoints is not None and self.processes.is_main:
            save_checkpoint(self.checkpoints, self.step, self.state(), self.options.keep)

    def resume(self) -> bool:
        """Loads the newest intact checkpoint. False if there is none.

        Errors: InputError if it is of another run, or beyond this one's end.
        """
        assert self.checkpoints is not None
        newest = load_resumable(
            self.checkpoints, self.options.num_steps, self.processes.world_size, self.log
        )
        if newest is None:
            return False
        step, state = newest
        try:
            self.load_state(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.checkpoints}: the checkpoint of step {step} is of another run "
                f"({str(error).splitlines()[0]}); resume with its settings"
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
            "window": [*self.window.state(), self.latest],
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
        sums, num_steps, self.latest = state["window"]
        self.window.load_state(sums, num_steps, self.source.device)


def build_optimizer(student: Student, options: TrainingOptions, fused: bool) -> torch.optim.Adam:
    """Adam, or AdamW where weights decay."""
    optimizer = torch.optim.AdamW if options.weight_decay else torch.optim.Adam
    rate, decay = options.learning_rate, options.weight_decay
    return optimizer(student.parameters(), lr=rate, weight_decay=decay, fused=fused or None)
