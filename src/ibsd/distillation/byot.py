"""BYOT: be your own teacher (Zhang et al., ICCV 2019, arXiv:1905.08094), for regression.

    L = L1(SR, HR)
        + lambda_heads * sum_k [(1 - alpha) L1(SR_k, HR) + alpha L1(SR_k, SR)]
        + lambda_hint * sum_k mean (G_k - F_K)^2

Every node F_k before the deepest one, F_K, gets a head of its own: a bottleneck that turns it into
a feature map G_k of F_K's shape, and an upsampler that turns G_k into an image SR_k. The heads
learn from HR (the label), from SR (the deepest output, in place of its softened classes) and from
F_K (the hint).

Which gradients flow where:

- `loss` differentiates all terms with respect to the student. The heads' terms reach the layers up
  to F_k, with the heads held fixed. As teachers, SR and F_K carry no graph.
- `auxiliary_step` differentiates the heads' terms with respect to the heads, on the detached maps
  of the same forward pass. The heads have their own Adam.

Together these are the gradients of one backward pass through everything, as in the paper.

Nothing of this remains at inference: the student is the plain network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ibsd.distillation.objective import Objective, held_fixed
from ibsd.students.student import Student
from ibsd.types import Batch, InputError, Scale, require, require_not_negative


class Head(nn.Module):
    """F_k [N, C, h, w] -> (G_k [N, C, h, w], SR_k [N, 3, sh, sw])."""

    def __init__(self, channels: int, scale: Scale) -> None:
        super().__init__()
        self.bottleneck = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.upsampler = nn.Sequential(
            nn.Conv2d(channels, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale)
        )

    def forward(self, node: Tensor) -> tuple[Tensor, Tensor]:
        hint = self.bottleneck(node.float())
        return hint, self.upsampler(hint)


class BYOT(Objective):
    """Auxiliary heads on the earlier nodes. With `lambda_heads` and `lambda_hint` 0 it trains
    bit-identically to `Plain`.

    Args:
        student: the network to train.
        lambda_heads: weight of the heads' distances in pixels.
        alpha: share of the student's own output, against HR, in what the heads learn from; in [0,
            1].
        lambda_hint: weight of the squared distance to the deepest node, a mean over its elements.
        head_learning_rate: of the heads' own Adam.
        seed: of the heads' initial weights, which leave the global generator untouched.

    Source: Zhang et al., ICCV 2019, equations 2 to 5, with L1 for cross entropy and KL
    divergence, so without a temperature (docs/method.md 7).
    """

    joint = True

    def __init__(
        self,
        student: Student,
        *,
        lambda_heads: float = 1.0,
        alpha: float = 0.3,
        lambda_hint: float = 1e-2,
        head_learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        heads = {"heads_hr": lambda_heads * (1 - alpha), "heads_sr": lambda_heads * alpha}
        super().__init__(student, {"l1": 1.0, **heads, "hint": lambda_hint})
        require_not_negative("byot", lambda_heads=lambda_heads, lambda_hint=lambda_hint)
        require_not_negative("byot", head_learning_rate=head_learning_rate)
        require("byot: alpha", alpha, 0 <= alpha <= 1, "0 to 1")
        spec = student.spec
        device = next(student.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = nn.ModuleList(
                Head(spec.channels, spec.scale) for _ in range(spec.num_nodes - 1)
            ).to(device)
        self.head_optimizer = torch.optim.Adam(self.heads.parameters(), lr=head_learning_rate)

    @property
    def heads_matter(self) -> bool:
        """Whether any of the heads' terms has weight."""
        return any(weight != 0 for name, weight in self.weights.items() if name != "l1")

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr, nodes = self.student.trace(batch.lr)
        sr = sr.float()
        terms = {"l1": (sr - batch.hr).abs().mean()}
        if not self.heads_matter:
            return terms, ()
        with held_fixed(self.heads):
            terms |= self.head_terms(nodes, sr, batch.hr)
        return terms, (*(node.detach() for node in nodes), sr.detach(), batch.hr)

    def head_terms(self, nodes: Sequence[Tensor], sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """Sums over the heads, without weights, of their distances to HR, to SR and to the deepest
        node."""
        deepest = nodes[-1].detach().float()
        sr = sr.detach()
        zero = torch.zeros((), device=sr.device)
        sums = {"heads_hr": zero, "heads_sr": zero, "hint": zero}
        for head, node in zip(self.heads, nodes[:-1], strict=True):
            hint, image = head(node)
            hint = hint.float()
            # Nodes may be padded at the bottom right.
            image = image.float()[..., : sr.shape[-2], : sr.shape[-1]]
            if image.shape != sr.shape:
                raise InputError(f"byot: nodes of {list(node.shape)} must have LR's size")
            parts = {
                "heads_hr": (image - hr).abs().mean(),
                "heads_sr": (image - sr).abs().mean(),
                "hint": (hint - deepest).square().mean(),
            }
            sums = {name: sums[name] + part for name, part in parts.items()}
        return sums

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        if nodes:
            *maps, sr, hr = nodes
            self.head_optimizer.zero_grad(set_to_none=True)
            self.weighted_total(self.head_terms(maps, sr, hr)).backward()
            self.processes.average_gradients(self.heads.parameters())
            self.head_optimizer.step()
        return {}

    def state(self) -> dict[str, Any]:
        optimizer = self.head_optimizer.state_dict()
        return {"heads": self.heads.state_dict(), "head_optimizer": optimizer}

    def load_state(self, state: dict[str, Any]) -> None:
        self.heads.load_state_dict(state["heads"])
        self.head_optimizer.load_state_dict(state["head_optimizer"])
