"""The guard against steps that would ruin a run, computed on the device so that nothing has to wait
for it.

A step is skipped when its loss exceeds `threshold` times the running mean of accepted ones, or when
loss or gradient are not finite. The verdict is a tensor; what it means for the count of skips
reaches the host whenever the copy has arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

GUARD_MEMORY = 0.99
"""Of the running mean loss with which the guard compares. The published trainer compares with the
last epoch's mean; a running mean also recovers after one easy batch, where comparing with the last
step alone would skip every step that follows."""
GUARD_START = 10
"""Accepted steps after which the guard compares: until then the mean says little, and an easy first
batch would have every step after it skipped."""


class Guard:
    """Judges steps, one after the other: `judge` by the loss, `conclude` when the gradient is known
    too.

    Args:
        device: where losses come from.
        threshold: times the running mean from which on a loss is an explosion.
        log: takes a sentence for the first skip of a streak.

    `skipped` and `consecutive` count what has reached the host; `wait` makes that everything.
    """

    def __init__(self, device: torch.device, threshold: float, log: Callable[[str], None]) -> None:
        self.device, self.threshold, self.log = device, threshold, log
        self.mean = torch.full((), torch.nan, dtype=torch.float64, device=device)
        self.accepted = torch.zeros((), dtype=torch.float64, device=device)
        self.skipped = self.consecutive = 0
        self.arriving: deque[tuple[int, Tensor, torch.cuda.Event | None]] = deque()

    def judge(self, loss: Tensor) -> Tensor:
        """Whether this loss, a scalar, is acceptable: a bool tensor. A loss below 0 is no
        explosion, as a bound can take the total there."""
        loss = loss.detach().double()
        size = loss.abs()
        usual = torch.where(self.accepted > 0, self.mean, size)
        fine = torch.isfinite(loss) & ~(
            (self.accepted >= GUARD_START) & (loss > self.threshold * usual)
        )
        memory = (self.accepted / (self.accepted + 1)).clamp(
            max=GUARD_MEMORY
        )  # a plain mean at first
        self.mean = torch.where(fine, memory * usual + (1 - memory) * size, self.mean)
        self.judged = loss, usual, fine
        return fine

    def conclude(self, step: int, accepted: Tensor) -> None:
        """Notes whether the step was taken in the end; `accepted` is false wherever `judge` said
        so."""
        self.accepted = self.accepted + accepted
        record = torch.stack([*self.judged, accepted])
        event = None
        if self.device.type == "cuda":
            record = record.to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self.arriving.append((step, record, event))
        while self.arriving and (self.arriving[0][2] is None or self.arriving[0][2].query()):
            self.count()

    def count(self) -> None:
        """Counts the oldest record that is under way."""
        step, record, event = self.arriving.popleft()
        if event is not None:
            event.synchronize()
        loss, usual, fine, accepted = record.tolist()
        if accepted:
            self.consecutive = 0
            return
        self.skipped += 1
        self.consecutive += 1
        if self.consecutive == 1:
            self.log(
                f"step {step}: skipped, "
                + (
                    "the gradient is not finite"
                    if fine
                    else f"loss {loss:.4g} where {usual:.4g} is usual"
                )
            )

    def wait(self) -> None:
        """Until every verdict has been counted."""
        while self.arriving:
            self.count()

    def state(self) -> list[float]:
        self.wait()
        return [float(self.mean), self.skipped, self.consecutive]

    def load_state(self, state: list[float], accepted: int) -> None:
        mean, skipped, consecutive = state
        self.mean, self.accepted = (
            torch.full_like(self.mean, mean),
            torch.full_like(self.accepted, accepted),
        )
        self.skipped, self.consecutive = int(skipped), int(consecutive)
