"""Mean losses between two lines of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LossWindow:
    """Sums of each term since the window was last emptied, kept on the device, so that no step
    waits for the host."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.num_steps: int | Tensor = 0

    def add(self, terms: Mapping[str, Tensor], mask: Tensor | None) -> None:
        """Adds the terms of one step, scalars by name. With a mask, a bool on the device, they
        count only where it is true."""
        for name, value in terms.items():
            value = value if mask is None else torch.where(mask, value, 0)
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
        self.num_steps = self.num_steps + (1 if mask is None else mask.long())

    def take_means(self) -> dict[str, float] | None:
        """Mean of each term, and the window is empty again. None if it holds no step."""
        if not (num_steps := int(self.num_steps)):
            return None
        means = {name: float(value) / num_steps for name, value in self.sums.items()}
        self.sums = {}
        self.num_steps = 0
        return means

    def state(self) -> tuple[dict[str, Tensor], int]:
        return self.sums, int(self.num_steps)

    def load_state(self, sums: Mapping[str, Any], num_steps: int, device: torch.device) -> None:
        self.sums = {name: value.to(device) for name, value in sums.items()}
        self.num_steps = num_steps
