"""What the trainer needs of a training method, and nothing more.

An objective owns the student and its auxiliary parts and has two verbs:

- `loss(batch)`: named, unweighted terms and the weighted total, for the student. Auxiliary parts
  are held fixed.
- `auxiliary_step(nodes)`: auxiliary parts learn from detached feature maps, with their own
  optimiser.

Per update the trainer calls `begin_step`, `loss`, backward, its optimiser, `auxiliary_step`,
`end_step`, in this order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ibsd.data.patches import PatchSource
from ibsd.distillation.diagnostics import gradient_diagnostics
from ibsd.distillation.gradient_share import GradientShare
from ibsd.distillation.soft_target import SoftTarget
from ibsd.distributed import ALONE, Processes
from ibsd.students.student import Student
from ibsd.types import Batch, InputError, LossReport


class Objective(ABC):
    """A way of training `student`. Subclasses implement `terms`, and the methods of their auxiliary
    parts.

    Args:
        student: the network to train.
        weights: weight of each term in the total, by name.

    Errors: InputError for a network that is no `Student`.
    """

    # -- what a subclass says of itself

    paired: bool = True
    """Whether the student sees the batches of plain training, in the same order. Only then can two
    runs be compared in pairs."""

    scheduled: bool = False
    """Whether `loss` depends on the step. It is then refused before `begin_step`. A subclass that
    overrides `begin_step` or `end_step` calls the base's too."""

    joint: bool = False
    """Whether several processes can train by it, each on a part of the batch. Averaged gradients
    then equal those of one process on the whole batch, for every term but a bound.
    `auxiliary_step` averages the gradients of its own parts by `processes`."""

    deferrable: bool = False
    """Whether the trainer may compute a step before it knows whether the step counts, and mask it
    on the device. `auxiliary_step` then obeys `accepted`."""

    start_share: float = 0.0
    """Share of the weights before training in the mean that a run leaves
    (`TrainingOptions.start_share`), where its options ask for none."""

    past: SoftTarget | None = None
    """The soft target of an objective that has one. The base keeps it: `prepare`, `begin_step`,
    `end_step`, `state` and `load_state`."""

    # -- the state of a run

    processes: Processes = ALONE
    """Set by the trainer."""

    current_step: int | None = None
    """The update between `begin_step` and `end_step`; None outside."""

    loss_taken: bool = False
    """Whether `loss` was called in that update."""

    accepted: Tensor | None = None
    """Where deferred: whether this step counts, a bool on the device. Otherwise None, and
    `auxiliary_step` is called for accepted steps only."""

    ramp: float = 1.0
    """Factor, in this update, of the weight that `share` controls."""

    def __init__(self, student: Student, weights: dict[str, float]) -> None:
        if not isinstance(student, Student):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(
                f"a {type(student).__name__} is no student: take ibsd.tap(network, nodes=[...]), "
                "or ibsd.create_student"
            )
        self.student = student
        self.weights = weights
        """A term of weight 0 is left out of the total: not even 0 is added."""
        self.share = GradientShare("", 0.0, 0.0)
        """Controls the weight of one term; here of none."""

    def defer(self) -> None:
        """Called before training if the host is not to wait for the device (`Trainer`,
        `deferred`)."""
        if not self.deferrable:
            raise InputError(f"{type(self).__name__} cannot be deferred; leave `deferred` out")

    def prepare(self, source: PatchSource) -> None:
        """Called once before training, with the training patches."""
        if self.past is not None:
            self.past.prepare(source)

    def begin_step(self, step: int, num_steps: int) -> None:
        """Called before update `step` of `num_steps`, counted from 0. InputError if the loss of
        another update was taken and that update not ended."""
        if self.loss_taken and self.current_step not in (None, step):
            raise InputError(
                f"update {self.current_step} was not ended: call end_step() after each update, or "
                "use ibsd.distillation.Loop"
            )
        self.current_step = step
        self.loss_taken = False
        if self.past is not None:
            self.past.begin_step(step, num_steps)

    @abstractmethod
    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """(terms, nodes): scalars by name, with a graph to the student's parameters only, and
        detached nodes for the auxiliary step."""

    def loss(self, batch: Batch) -> LossReport:
        """The weighted total, and its terms without their weights."""
        self.check_begun()
        terms, nodes = self.terms(batch)
        if self.share.term in terms:
            self.share.measure(terms, self.student, self.processes)
            self.apply_share()
        return self.report(terms, nodes)

    def apply_share(self) -> None:
        """Sets the weight that `share` controls."""
        self.weights[self.share.term] = self.share.weight * self.ramp

    def check_begun(self) -> None:
        """InputError if `loss` depends on the step and no step was begun."""
        if self.scheduled and self.current_step is None:
            raise InputError(
                "loss() was called before begin_step(): call begin_step(step, num_steps) first and "
                "end_step() last, or use ibsd.distillation.Loop"
            )
        self.loss_taken = True

    def report(self, terms: dict[str, Tensor], nodes: tuple[Tensor, ...]) -> LossReport:
        total = self.weighted_total(terms)
        return LossReport(total, {name: term.detach() for name, term in terms.items()}, nodes)

    def weighted_total(self, terms: dict[str, Tensor]) -> Tensor:
        """Sum of the terms times their weights, with a graph."""
        parts = [
            term if self.weights[name] == 1 else self.weights[name] * term
            for name, term in terms.items()
            if self.weights[name] != 0
        ]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        """Auxiliary parts learn from these detached nodes. Returns their losses, detached."""
        return {}

    def end_step(self) -> None:
        """Called after the student's update."""
        self.current_step = None
        if self.past is not None:
            self.past.end_step()

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        """Measurements of the run's health on one batch, by name. Runs the student anew and several
        backward passes, changes nothing, and is called rarely. See `gradient_diagnostics`."""
        parameters = [weight for weight in self.student.parameters() if weight.requires_grad]
        terms, _ = self.terms(batch)
        return gradient_diagnostics(terms, self.weights, parameters)

    def alarms(self, diagnostics: dict[str, float]) -> list[str]:
        """What these diagnostics warn of: sentences that say what to change."""
        return []

    def state(self) -> dict[str, Any]:
        """The auxiliary parts, for exact resumes: nested dicts and lists of tensors and plain
        values. The student is not among them."""
        return {} if self.past is None else {"soft_target": self.past.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores what `state` gave."""
        if self.past is not None:
            self.past.load_state(state["soft_target"])


def ramp_factor(step: int, warm_up: int, ramp: int) -> float:
    """0 during `warm_up` updates, then linearly to 1 over `ramp` more; `step` counts from 0."""
    return min(1.0, max(0.0, (step - warm_up + 1) / ramp if ramp else float(step >= warm_up)))


@contextmanager
def held_fixed(module: nn.Module) -> Generator[None]:
    """Inside, gradients flow through the module to its inputs, and not to its parameters."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
