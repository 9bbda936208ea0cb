"""Two views of one photograph: terms at the cut Z that price what only tells the views apart.

    L = L1(SR, HR) + lambda_views D(Z of view 1, Z of view 2) + lambda_hf wavelet_loss(SR, T_t)

`measure` names D: the two-view bound (Federici et al., ICLR 2020, arXiv:2002.07017), or the
distance of statistics (Wang et al., CVPR 2024, arXiv:2402.18929), the field's own answer beside
it. Gradients reach the student; the spread of the bound learns in the auxiliary step, on detached
features. With both weights 0 it trains bit-identically to `Plain` on the same batches: the
control "two views, no term".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ibsd.distillation.gradient_share import GradientShare
from ibsd.distillation.objective import Objective, ramp_factor
from ibsd.distillation.soft_target import PastSource, SoftTarget
from ibsd.distillation.wavelet import wavelet_loss
from ibsd.information.views import two_view_bound, view_statistics_distance
from ibsd.students.student import Student, untouched
from ibsd.types import Batch, InputError, require, require_not_negative

Measure = Literal["bound", "statistics"]
FREQUENCIES = 64
"""Random Fourier features of the distance of statistics."""


class ViewAlignment(Objective):
    """L1 and the distance of two views at Z. Needs data.views = 2 where the term has weight.

    Args:
        student: the network to train; it has a cut (`StudentSpec.cut`).
        lambda_views: weight of the distance, or where it begins if `share` is set.
        share: wanted share of L1's gradient (`gradient_share.py`); 0 for a fixed weight.
        measure: `bound` or `statistics`.
        shuffled: whether each view is held against a view of another photograph, with which it
            shares nothing: with `share` the honest control.
        warm_up, ramp, lambda_hf, final_share, period, soft_target: as for `IBSD`. By default there
            is no wavelet loss.
        seed: of the random frequencies.
    """

    scheduled = True

    def __init__(
        self,
        student: Student,
        *,
        lambda_views: float = 1e-3,
        share: float = 0.1,
        measure: Measure = "bound",
        shuffled: bool = False,
        warm_up: int = 100,
        ramp: int = 250,
        lambda_hf: float = 0.0,
        final_share: float = 0.8,
        period: int = 500,
        soft_target: PastSource = "bank",
        seed: int = 0,
    ) -> None:
        super().__init__(student, {"l1": 1.0, "views": lambda_views, "wavelet": lambda_hf})
        require_not_negative("view-alignment", lambda_views=lambda_views, lambda_hf=lambda_hf)
        require_not_negative("view-alignment", warm_up=warm_up, ramp=ramp)
        fits = measure in ("bound", "statistics")
        require("view-alignment: measure", measure, fits, "bound or statistics")
        self.measure = measure
        self.shuffled = shuffled
        self.warm_up = warm_up
        self.ramp_steps = ramp
        self.share = GradientShare("views", share if lambda_views > 0 else 0.0, lambda_views)
        self.soft_target = SoftTarget(student, soft_target, final_share, period)
        self.past = self.soft_target if lambda_hf > 0 else None
        channels = cut_channels(student)
        device = next(student.parameters()).device
        self.log_spread = nn.Parameter(torch.zeros(channels, device=device))
        self.spread_optimizer = torch.optim.Adam([self.log_spread], lr=1e-2)
        generator = torch.Generator().manual_seed(seed)
        frequencies = torch.randn((FREQUENCIES, channels), generator=generator)
        self.frequencies = (frequencies / channels**0.5).to(device)
        self.phases = (2 * torch.pi * torch.rand(FREQUENCIES, generator=generator)).to(device)

    def begin_step(self, step: int, num_steps: int) -> None:
        super().begin_step(step, num_steps)
        self.ramp = ramp_factor(step, self.warm_up, self.ramp_steps)
        self.apply_share()

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        (sr, _), cut = self.student.trace_with_cut(batch.lr)
        sr = sr.float()
        if self.shuffled:
            cut = mismatched(cut, batch.num_views)
        terms = {"l1": (sr - batch.hr).abs().mean()}
        if self.weights["views"] != 0:
            terms["views"] = self.distance(cut, batch.num_views)
        if self.weights["wavelet"] != 0:
            terms["wavelet"] = wavelet_loss(sr, self.soft_target(batch))
        kept = cut.detach() if batch.num_views > 1 else cut.detach()[:0]
        return terms, (kept,)

    def distance(self, cut: Tensor, num_views: int) -> Tensor:
        """D between the views of Z, a scalar."""
        if self.measure == "statistics":
            return view_statistics_distance(cut, self.frequencies, self.phases, num_views)
        return two_view_bound(cut, self.log_spread.detach(), num_views)

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        if self.measure != "bound" or not len(nodes[0]):
            return {}
        self.spread_optimizer.zero_grad(set_to_none=True)
        nll = two_view_bound(nodes[0], self.log_spread)
        nll.backward()
        self.spread_optimizer.step()
        return {"nll": nll.detach()}

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "share": self.share.state(),
            "log_spread": self.log_spread.detach(),
            "spread_optimizer": self.spread_optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.share.load_state(state["share"])
        with torch.no_grad():
            self.log_spread.copy_(state["log_spread"])
        self.spread_optimizer.load_state_dict(state["spread_optimizer"])


def mismatched(cut: Tensor, num_views: int) -> Tensor:
    """Views [num_views * N, ...] with the k-th moved on by k photographs of N: rows of equal number
    then show different ones. InputError for a single photograph."""
    views = cut.unflatten(0, (num_views, -1))
    if views.shape[1] < 2 <= num_views:
        raise InputError("view-alignment: shuffled needs 2 photographs a batch: raise batch_size")
    return torch.cat([view.roll(number, 0) for number, view in enumerate(views)])


def cut_channels(student: Student) -> int:
    """Channels of Z, by one small image."""
    parameter = next(student.parameters())
    size_px = max(8, student.spec.minimum_size_px)
    with untouched(student):
        _, cut = student.trace_with_cut(parameter.new_zeros(1, 3, size_px, size_px))
    return cut.shape[1]
