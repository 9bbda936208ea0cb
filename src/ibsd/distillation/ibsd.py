"""IBSD: information-bottleneck self-distillation (Zhu, Chen, Liu; IEEE TCSVT 2024).

    L = L1(SR, HR) + lambda_mi * sum over links of bound(F_{k-1}; F_k) + lambda_hf *
    wavelet_loss(SR, T_t)

Which gradients flow where, all in one place:

- `loss` differentiates the three terms with respect to the student's parameters only. The bound
reaches the student through both nodes of
  every link, while the estimators are held fixed. The soft target T_t carries no graph.
- `auxiliary_step` differentiates the estimators' negative log-likelihood with respect to the
estimators only: the nodes come detached.

Nothing of this remains at inference: the student is the plain network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.data.patches import PatchSource
from ibsd.distillation import diagnostics
from ibsd.distillation.objective import Objective, held_fixed, ramp_factor
from ibsd.distillation.optimizers import skip_where_refused, use_fused, with_fused
from ibsd.distillation.soft_target import SoftTarget, Source
from ibsd.distillation.wavelet import details, wavelet_loss
from ibsd.information.chain import MarkovChain, sum_of
from ibsd.information.club import (
    Negatives,
    Reduction,
    check_negatives,
    check_reduction,
    club_upper_bound,
    laplace_nll,
)
from ibsd.information.conditional import ConditionalChain, conditional_information
from ibsd.information.degradation import DegradationChain, degradation_signature
from ibsd.information.view import pool, standardise
from ibsd.students.student import Student
from ibsd.types import Batch, InputError


class IBSD(Objective):
    """The method. With both weights 0 it trains bit-identically to `Plain`, estimators only
    watching.

    The defaults of the weights and of `pool` were chosen on validation pictures of real cameras
    (docs/search.md).

    Args:
        student: the network to train.
        lambda_mi: weight of the bound (nats per element, summed over links, with reduction `mean`).
        lambda_hf: weight of the wavelet loss to the soft target.
        final_share: a_T, share of the student's past in the soft target at the end of training; 0
            is the wavelet loss to HR alone.
        period: updates between snapshots of the past.
        soft_target: where the past output comes from: `bank`, `snapshot` or `ema` (see
            `soft_target.py`).
        ramp: lambda_mi rises linearly from 0 over this many updates after `warm_up` ones.
        warm_up: updates in which only the estimators learn and the bound does not touch the
            student.
        estimator_learning_rate: of the estimators' own Adam.
        inner_steps: estimator updates per student update; 0 freezes them as they are initialised (a
            control).
        spread_floor: smallest spread b; larger is safer where estimators lag.
        estimator_clip: largest norm of the estimators' gradient.
        negatives: which earlier maps of the batch count as unpaired, `all` or `others`.
        gather_negatives: with several processes the chain sees the joined batch on each of them,
            and everything equals one process; otherwise each sees its own part, so that the bound
            has fewer negatives (docs/cluster.md). Alone there is no difference.
        reduction: `mean` (default) or `published`.
        links: 1-based links whose bound is minimised; default all. The others are only watched.
        normalise: the chain sees every channel standardised over the batch, so that smaller
            features do not lower the bound.
        pool: the chain sees averages over blocks of this many pixels; 0 for the pixels themselves.
        given: `hr` replaces the bound by the information beyond what the HR image explains
            (`information/conditional.py`), `degradation` by what the nodes' statistics tell of the
            measured degradation (`information/degradation.py`), where that is positive.
        levels: of the wavelet transform.
        seed: of the estimators' initial weights, which leave the global generator untouched.
    """

    deferrable = True
    joint = True

    def __init__(
        self,
        student: Student,
        *,
        lambda_mi: float = 1e-4,
        lambda_hf: float = 1.0,
        final_share: float = 0.8,
        period: int = 500,
        soft_target: Source = "bank",
        warm_up: int = 200,
        ramp: int = 1000,
        estimator_learning_rate: float = 1e-3,
        inner_steps: int = 1,
        spread_floor: float = 1e-3,
        estimator_clip: float = 10.0,
        negatives: Negatives = "all",
        gather_negatives: bool = False,
        reduction: Reduction = "mean",
        links: Sequence[int] | None = None,
        normalise: bool = False,
        pool: int = 4,
        given: Literal["nothing", "hr", "degradation"] = "nothing",
        levels: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__(student, {"l1": 1.0, "bound": lambda_mi, "wavelet": lambda_hf})
        num_links = student.spec.num_nodes - 1
        self.penalised = tuple(range(1, num_links + 1)) if links is None else tuple(links)
        if not self.penalised or not set(self.penalised) <= set(range(1, num_links + 1)):
            raise InputError(
                f"ibsd: links is {list(self.penalised)}; {student.spec.name} has links 1 to {num_links}"
            )
        for name, value, least in (
            ("lambda_mi", lambda_mi, 0), ("lambda_hf", lambda_hf, 0), ("warm_up", warm_up, 0), ("ramp", ramp, 0), ("inner_steps", inner_steps, 0),
            ("pool", pool, 0), ("levels", levels, 1), ("estimator_learning_rate", estimator_learning_rate, 0),
        ):  # fmt: skip
            if not value >= least:  # so put that NaN is refused too
                raise InputError(f"ibsd: {name} is {value}; it must be at least {least}")
        if not (spread_floor > 0 and estimator_clip > 0):
            raise InputError(
                f"ibsd: spread_floor is {spread_floor} and estimator_clip {estimator_clip}; both must be above 0"
            )
        check_negatives(negatives)
        check_reduction(reduction)
        if given not in ("nothing", "hr", "degradation"):
            raise InputError(
                f"ibsd: given is {given!r}; it must be 'nothing', 'hr' or 'degradation'"
            )
        if given != "nothing" and reduction != "mean":
            raise InputError(
                f"ibsd: given {given!r} has no reduction {reduction!r}; leave reduction at 'mean'"
            )
        self.lambda_mi, self.warm_up, self.ramp = lambda_mi, warm_up, ramp
        self.inner_steps, self.estimator_clip = inner_steps, estimator_clip
        self.negatives: Negatives = negatives
        self.gather_negatives = gather_negatives
        self.reduction: Reduction = reduction
        self.normalise, self.pool, self.given, self.levels = normalise, pool, given, levels
        self.soft_target = SoftTarget(student, soft_target, final_share, period)
        device = next(student.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.chain = self.build_chain(num_links, spread_floor).to(device)
        self.estimator_optimizer = torch.optim.Adam(
            self.chain.parameters(), lr=estimator_learning_rate
        )
        self.first_figures: dict[str, float] = {}

    def defer(self) -> None:
        use_fused(self.estimator_optimizer, True)

    def build_chain(
        self, num_links: int, spread_floor: float
    ) -> MarkovChain | ConditionalChain | DegradationChain:
        spec = self.student.spec
        if self.given == "degradation":
            return DegradationChain(spec.channels, num_links, spread_floor)
        if self.given == "hr":
            return ConditionalChain(spec.channels, 3 * spec.scale**2, num_links, spread_floor)
        return MarkovChain(spec.channels, num_links, spread_floor)

    def prepare(self, source: PatchSource) -> None:
        self.soft_target.prepare(source)

    def begin_step(self, step: int, num_steps: int) -> None:
        self.soft_target.begin_step(step, num_steps)
        self.weights["bound"] = self.lambda_mi * ramp_factor(step, self.warm_up, self.ramp)

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr, nodes = self.student.trace(batch.lr)
        sr = sr.float()
        maps = self.seen(nodes, batch.hr, batch.lr)
        terms = {"l1": (sr - batch.hr).abs().mean()}
        if self.weights["bound"] != 0:
            if maps[0].shape[0] < 2 and self.given == "nothing":
                raise InputError(
                    "ibsd: the bound needs unpaired samples, so a batch of at least 2 per process; raise data.batch_size"
                )
            with held_fixed(self.chain):
                terms["bound"] = sum_of(
                    [
                        self.penalty(link)
                        for k, link in self.chain_links(maps)
                        if k in self.penalised
                    ]
                )
        if self.weights["wavelet"] != 0:
            terms["wavelet"] = wavelet_loss(sr, self.soft_target(batch), self.levels)
        return terms, tuple(each.detach() for each in maps)

    def seen(
        self, nodes: Sequence[Tensor], hr: Tensor, lr: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """What the chain sees: the nodes, unless an option asks for another view of them; what is
        given joins as the last map."""
        if self.gather_negatives:
            nodes, hr = [self.processes.gather(node) for node in nodes], self.processes.gather(hr)
            lr = None if lr is None else self.processes.gather(lr)
        maps = [standardise(node) for node in nodes] if self.normalise else list(nodes)
        if self.given == "hr":
            maps.append(F.pixel_unshuffle(hr, self.student.spec.scale))
        maps = [pool(each, self.pool) for each in maps]
        if self.given == "degradation":
            assert lr is not None
            maps.append(degradation_signature(lr, hr, self.student.spec.scale))
        return tuple(maps)

    def chain_links(self, maps: Sequence[Tensor]) -> list[tuple[int, tuple[Tensor, ...]]]:
        return list(enumerate(self.chain.links(maps), start=1))

    def penalty(self, link: tuple[Tensor, ...]) -> Tensor:
        """The bound; an estimator of the degradation that is fooled already has nothing more to
        say, so that no gain lies in fooling it further."""
        bound = self.bound(link)
        return bound.clamp_min(0) if self.given == "degradation" else bound

    def bound(self, link: tuple[Tensor, ...]) -> Tensor:
        if self.given != "nothing":
            return conditional_information(*link)
        negatives = (
            self.negatives if link[0].shape[0] > 1 else "all"
        )  # a single sample, which can only be watched, has a bound of 0
        return club_upper_bound(*link, reduction=self.reduction, negatives=negatives)

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        nll = torch.zeros(())
        parameters = list(self.chain.parameters())
        for _ in range(self.inner_steps):
            self.estimator_optimizer.zero_grad(set_to_none=True)
            nll = self.chain.nll(nodes, self.reduction)
            nll.backward()
            self.processes.average_gradients(parameters)
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.estimator_clip)
            finite = torch.isfinite(
                norm
            )  # else the estimators, and with them the bound, would never be finite again
            if self.accepted is not None:
                skip_where_refused(self.estimator_optimizer, finite & self.accepted)
            if self.accepted is not None or finite:
                self.estimator_optimizer.step()
        return {"nll": nll.detach()} if self.inner_steps else {}

    def end_step(self) -> None:
        self.soft_target.end_step()

    def figures(self, batch: Batch) -> dict[str, float]:
        figures = super().figures(batch)
        with torch.no_grad():
            sr, nodes = self.student.trace(batch.lr)
            for k, node in enumerate(nodes):
                figures[f"scale/F{k}"] = float(node.float().std())
            for k, link in self.chain_links(self.seen(nodes, batch.hr, batch.lr)):
                figures[f"bound/link{k}"] = float(self.bound(link))
                figures[f"nll/link{k}"] = float(laplace_nll(*link[:3], reduction=self.reduction))
            figures["soft_target/share"] = self.soft_target.share
            if self.weights["wavelet"] != 0:  # else a bank would be filled for this figure alone
                figures["soft_target/flipped"] = flipped_share(
                    sr.float(), batch.hr, self.soft_target(batch), self.levels
                )
        if not self.first_figures and self.weights["bound"] != 0:
            self.first_figures = dict(figures)
        return figures

    def alarms(self, figures: dict[str, float]) -> list[str]:
        penalised = self.weights["bound"] != 0
        return diagnostics.alarms(
            self.first_figures or figures, figures, penalised, estimators_learn=self.inner_steps > 0
        )

    def state(self) -> dict[str, Any]:
        return {
            "estimators": self.chain.state_dict(),
            "estimator_optimizer": self.estimator_optimizer.state_dict(),
            "soft_target": self.soft_target.state(),
            "first_figures": self.first_figures,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.chain.load_state_dict(state["estimators"])
        fused = self.estimator_optimizer.param_groups[0]["fused"]
        self.estimator_optimizer.load_state_dict(with_fused(state["estimator_optimizer"], fused))
        self.soft_target.load_state(state["soft_target"])
        self.first_figures = state["first_figures"]


def flipped_share(sr: Tensor, hr: Tensor, target: Tensor, levels: int = 4) -> float:
    """Share of detail coefficients whose gradient has another sign towards the soft target than
    towards HR (METHOD 4); 0 means no effect."""
    flips = [
        (to_target.sign() != to_hr.sign()).float().flatten()
        for to_target, to_hr in zip(
            details(sr - target, levels), details(sr - hr, levels), strict=True
        )
    ]
    return float(torch.cat(flips).mean())
