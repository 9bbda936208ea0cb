"""The guard against steps that would ruin a run. It is computed on the device, so that no step
waits for the host.

A step is skipped when its loss exceeds `threshold` times the running mean of accepted ones, or when
loss or gradient are not finite. The verdict is a tensor. The host counts it when a copy of it has
arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

GUARD_MEMORY = 0.99
"""Of the running mean loss that the guard compares with. The published trainer compares with the
last epoch's mean. Comparing with the last step alone would skip every step after one easy batch."""
GUARD_START = 10
"""Accepted steps after which the guard compares. Before, the mean says little: every step after an
easy first batch would be skipped."""


class Guard:
    """Judges each step: `judge` by the loss, then `conclude` with the gradient known.

    Args:
        device: where losses come from.
        threshold: a loss above this many times the running mean is refused.
        log: told of the first skip of a streak.

    `skipped` and `consecutive` count the verdicts that have reached the host. After `wait` these
    are all.
    """

    def __init__(self, device: torch.device, threshold: float, log: Callable[[str], None]) -> None:
        self.device = device
        self.threshold = threshold
        self.log = log
        self.mean = torch.full((), torch.nan, dtype=torch.float64, device=device)
        self.accepted = torch.zeros((), dtype=torch.float64, device=device)
        self.skipped = 0
        self.consecutive = 0
        self.arriving: deque[tuple[int, Tensor, torch.cuda.Event | None]] = deque()

    def judge(self, loss: Tensor) -> Tensor:
        """Whether this loss, a scalar, is acceptable: a bool on the device. A loss below 0 is
        accepted, as a bound can take the total there."""
        loss = loss.detach().double()
        size = loss.abs()
        usual = torch.where(self.accepted > 0, self.mean, size)
        fine = torch.isfinite(loss) & ~(
            (self.accepted >= GUARD_START) & (loss > self.threshold * usual)
        )
        # A plain mean at first.
        memory = (self.accepted / (self.accepted + 1)).clamp(max=GUARD_MEMORY)
        self.mean = torch.where(fine, memory * usual + (1 - memory) * size, self.mean)
        self.judged = loss, usual, fine
        return fine

    def conclude(self, step: int, accepted: Tensor) -> None:
        """Notes whether the step was taken in the end. `accepted` is false wherever `judge` refused
        it."""
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
        """Counts the oldest verdict that is on its way."""
        step, record, event = self.arriving.popleft()
        if event is not None:
            event.synchronize()
        values: list[float] = record.tolist()
        loss, usual, fine, accepted = values
        if accepted:
            self.consecutive = 0
            return
        self.skipped += 1
        self.consecutive += 1
        if self.consecutive == 1:
            reason = f"loss {loss:.4g} where {usual:.4g} is usual"
            self.log(f"step {step}: skipped, {'the gradient is not finite' if fine else reason}")

    def wait(self) -> None:
        """Until every verdict has been counted."""
        while self.arriving:
            self.count()

    def state(self) -> list[float]:
        self.wait()
        return [float(self.mean), self.skipped, self.consecutive]

    def load_state(self, state: list[float], accepted: int) -> None:
        mean, skipped, consecutive = state
        self.mean = torch.full_like(self.mean, mean)
        self.accepted = torch.full_like(self.accepted, accepted)
        self.skipped = int(skipped)
        self.consecutive = int(consecutive)
