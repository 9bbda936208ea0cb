"""A term's weight, held so that its gradient has a given share of L1's.

A fixed weight means little: over a run the gradient of a bound was 0.6 to 2.6 % of L1's, whatever
the weight seemed to say. Here the share is what is chosen, and the weight follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ibsd.distributed import ALONE, Processes
from ibsd.types import require

LARGEST_CHANGE = 2.0
"""Most by which one measurement moves the weight, up or down."""


class GradientShare:
    """Controls one weight.

    Args:
        term: name of the weighted term.
        share: wanted norm of the weighted term's gradient, over that of L1's; 0 for no control.
        weight: to begin with.
        every: updates between measurements. Each costs two backward passes.

    The first measurement sets the weight. Each later one multiplies it by the square root of wanted
    over measured share, so that one odd batch does not throw it.

    Errors: InputError for a share out of range.
    """

    def __init__(self, term: str, share: float, weight: float, every: int = 20) -> None:
        self.term = term
        require("share", share, 0 <= share <= 10, "0 (a fixed weight) to 10")
        self.share = share
        self.weight = weight
        self.every = every
        self.count = 0

    def measure(
        self, terms: Mapping[str, Tensor], student: nn.Module, processes: Processes = ALONE
    ) -> None:
        """Moves the weight after a measurement, a mean over the processes, where one is due. The
        graphs of the terms stay."""
        if self.share > 0 and self.count % self.every == 0:
            parameters = [p for p in student.parameters() if p.requires_grad]
            norm = gradient_norm(terms[self.term], parameters)
            own = norm / max(gradient_norm(terms["l1"], parameters), 1e-30)
            measured = processes.mean_values({self.term: own})[self.term]
            if 0 < measured < float("inf"):
                change = self.share / (self.weight * measured)
                if self.count > 0:
                    change = min(max(change**0.5, 1 / LARGEST_CHANGE), LARGEST_CHANGE)
                self.weight *= change
        self.count += 1

    def state(self) -> dict[str, Any]:
        return {"weight": self.weight, "count": self.count}

    def load_state(self, state: dict[str, Any]) -> None:
        self.weight = state["weight"]
        self.count = state["count"]


def gradient_norm(term: Tensor, parameters: Sequence[nn.Parameter]) -> float:
    """Euclidean norm of the gradient of a scalar to all parameters. The graph stays."""
    parts = cast(
        "tuple[Tensor | None, ...]",
        torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True),
    )
    squares = [part.float().square().sum() for part in parts if part is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
