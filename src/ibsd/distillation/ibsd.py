"""IBSD: information-bottleneck self-distillation.

    L = L1(SR, HR) + lambda_mi * sum_k bound(F_{k-1}; F_k) + lambda_hf * wavelet_loss(SR, T_t)

Which gradients flow where:

- `loss` differentiates the three terms with respect to the student's parameters only. The bound
  reaches the student through both nodes of every link, with the estimators held fixed. The soft
  target T_t carries no graph.
- `auxiliary_step` differentiates the estimators' negative log-likelihood with respect to the
  estimators only. The nodes come detached.

Nothing of this remains at inference: the student is the plain network.

Source: Zhu, Chen, Liu, IEEE TCSVT 2024; docs/method.md 5.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.distillation.diagnostics import flipped_share, information_alarms, node_scales
from ibsd.distillation.gradient_share import GradientShare
from ibsd.distillation.ibsd_options import IBSDOptions
from ibsd.distillation.objective import Objective, held_fixed, ramp_factor
from ibsd.distillation.optimizers import skip_where_refused, use_fused, with_fused
from ibsd.distillation.soft_target import SoftTarget
from ibsd.distillation.wavelet import wavelet_loss
from ibsd.information.chain import MarkovChain, sum_of
from ibsd.information.club import club_upper_bound, laplace_nll
from ibsd.information.conditional import ConditionalChain, conditional_information
from ibsd.information.degradation import DegradationChain, degradation_signature
from ibsd.information.view import pool, standardise
from ibsd.information.views import views_upper_bound
from ibsd.students.student import Student
from ibsd.types import Batch, InputError, LossReport


class IBSD(Objective):
    """The method. With `lambda_mi` and `lambda_hf` 0 it trains bit-identically to `Plain`, while
    the estimators learn as usual.

    Args:
        student: the network to train.
        options: see `IBSDOptions`, which says the defaults.
        changes: single options in place of those, as in `IBSD(student, lambda_mi=1e-4)`.

    Errors: InputError for an option out of range, or a link that the student does not have.
    """

    deferrable = True
    joint = True
    scheduled = True
    declared: type[IBSDOptions] = IBSDOptions
    """What its options are, and their defaults."""

    def __init__(
        self, student: Student, options: IBSDOptions | None = None, **changes: Any
    ) -> None:
        self.options = options = dataclasses.replace(options or self.declared(), **changes)
        weights = {"l1": 1.0, "bound": options.lambda_mi, "wavelet": options.lambda_hf}
        super().__init__(student, weights)
        num_nodes = 2 if options.nodes == "cut" else student.spec.num_nodes
        every_link = tuple(range(1, num_nodes))
        if options.nodes == "cut":
            student.cut_module()  # InputError, before training, if there is none
        self.penalised = every_link if options.links is None else tuple(options.links)
        if not self.penalised or not set(self.penalised) <= set(every_link):
            raise InputError(
                f"ibsd: links is {list(self.penalised)}; "
                f"{student.spec.name} has links 1 to {len(every_link)}"
            )
        past = (options.soft_target, options.final_share, options.period)
        self.soft_target = self.past = SoftTarget(student, *past)
        like = next(student.parameters())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.chain = build_chain(student, options)
        self.chain.to(like.device, torch.promote_types(like.dtype, torch.float32))
        self.estimator_optimizer = torch.optim.Adam(
            self.chain.parameters(), lr=options.estimator_learning_rate
        )
        self.share = GradientShare("bound", options.share, options.lambda_mi)
        self.first_diagnostics: dict[str, float] = {}
        """The first diagnostics in which the bound had weight. Alarms compare with them."""

    # -- the student's loss

    def terms(self, batch: Batch) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        sr, nodes = self.traced(batch)
        sr = sr.float()
        maps = self.view(nodes, batch.hr, batch.lr)
        terms = {"l1": (sr - batch.hr).abs().mean()}
        if self.weights["bound"] != 0:
            terms["bound"] = self.penalty(maps, batch.num_views)
        if self.weights["wavelet"] != 0:
            terms["wavelet"] = wavelet_loss(sr, self.soft_target(batch), self.options.levels)
        return terms, tuple(node.detach() for node in maps)

    def loss(self, batch: Batch) -> LossReport:
        self.check_unpaired(batch)
        return super().loss(batch)

    def traced(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(SR, the feature maps of the chain): F0 to F3, or F0 and Z."""
        if self.options.nodes == "chain":
            return self.student.trace(batch.lr)
        (sr, nodes), cut = self.student.trace_with_cut(batch.lr)
        if cut.shape != nodes[0].shape:
            raise InputError(
                f"ibsd: nodes is 'cut', and Z has shape {list(cut.shape)} where F0 has "
                f"{list(nodes[0].shape)}; take nodes 'chain' for {self.student.spec.name}"
            )
        return sr, (nodes[0], cut)

    def penalty(self, maps: Sequence[Tensor], num_views: int = 1) -> Tensor:
        """Sum of the bounds of the penalised links, with the estimators held fixed."""
        with held_fixed(self.chain):
            links = enumerate(self.chain.links(maps), start=1)
            bounds = [self.bound(link, num_views) for k, link in links if k in self.penalised]
        if self.options.given == "degradation":
            # Below 0 the estimator does worse than without the node: lower must pay no more.
            bounds = [bound.clamp_min(0) for bound in bounds]
        return sum_of(bounds)

    def check_unpaired(self, batch: Batch) -> None:
        """InputError, at the first update, for a batch in which the bound has no negatives, though
        its weight may be 0 until warm-up is over."""
        options = self.options
        others = self.processes.world_size if options.gather_negatives else 1
        if options.lambda_mi > 0 and options.given == "nothing" and len(batch.lr) * others < 2:
            raise InputError(
                "the bound of IBSD needs unpaired samples, so a batch of at least 2 per process: "
                "raise data.batch_size, or set objective.options.lambda_mi to 0"
            )

    def bound(self, link: tuple[Tensor, ...], num_views: int = 1) -> Tensor:
        """Information of one link, a scalar in nats."""
        if self.options.given != "nothing":
            return conditional_information(*link)
        if self.options.negatives == "views":
            earlier, location, spread = link
            return views_upper_bound(earlier, location, spread, num_views)
        # A single sample has no others. Its bound is 0, and is only ever measured.
        negatives = self.options.negatives if link[0].shape[0] > 1 else "all"
        return club_upper_bound(*link, reduction=self.options.reduction, negatives=negatives)

    def view(
        self, nodes: Sequence[Tensor], hr: Tensor, lr: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """What the chain sees of the nodes: gathered from all processes, standardised and pooled
        where the options say so. What the information is conditioned on comes last."""
        options = self.options
        if options.gather_negatives:
            nodes = [self.processes.all_gather(node) for node in nodes]
            hr = self.processes.all_gather(hr)
            lr = None if lr is None else self.processes.all_gather(lr)
        maps = [standardise(node) for node in nodes] if options.normalise else list(nodes)
        if options.given == "hr":
            maps.append(F.pixel_unshuffle(hr, self.student.spec.scale))
        maps = [pool(node, options.pool) for node in maps]
        if options.given == "degradation":
            assert lr is not None
            maps.append(degradation_signature(lr, hr, self.student.spec.scale))
        return tuple(maps)

    # -- the estimators' update

    def auxiliary_step(self, nodes: Sequence[Tensor]) -> dict[str, Tensor]:
        losses = [self.estimator_update(nodes) for _ in range(self.options.inner_steps)]
        return {"nll": losses[-1]} if losses else {}

    def estimator_update(self, nodes: Sequence[Tensor]) -> Tensor:
        """One step of the estimators' optimiser. Returns the negative log-likelihood before it."""
        parameters = list(self.chain.parameters())
        self.estimator_optimizer.zero_grad(set_to_none=True)
        nll = self.chain.nll(nodes, self.options.reduction)
        nll.backward()
        self.processes.average_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.options.estimator_clip)
        # After one step by a gradient that is not finite the estimators, and with them the bound,
        # would never be finite again.
        finite = torch.isfinite(norm)
        if self.accepted is not None:
            skip_where_refused(self.estimator_optimizer, finite & self.accepted)
            self.estimator_optimizer.step()
        elif finite:
            self.estimator_optimizer.step()
        return nll.detach()

    # -- around them

    def defer(self) -> None:
        use_fused(self.estimator_optimizer, True)

    def begin_step(self, step: int, num_steps: int) -> None:
        super().begin_step(step, num_steps)
        self.ramp = ramp_factor(step, self.options.warm_up, self.options.ramp)
        self.apply_share()

    def diagnostics(self, batch: Batch) -> dict[str, float]:
        diagnostics = super().diagnostics(batch)
        reduction = self.options.reduction
        levels = self.options.levels
        with torch.no_grad():
            sr, nodes = self.traced(batch)
            diagnostics |= node_scales(nodes)
            links = self.chain.links(self.view(nodes, batch.hr, batch.lr))
            for k, link in enumerate(links, start=1):
                diagnostics[f"bound/link{k}"] = float(self.bound(link, batch.num_views))
                diagnostics[f"nll/link{k}"] = float(laplace_nll(*link[:3], reduction=reduction))
            diagnostics["soft_target/share"] = self.soft_target.share
            if self.weights["wavelet"] != 0:  # else a bank would be filled for this number alone
                diagnostics["soft_target/flipped"] = flipped_share(
                    sr.float(), batch.hr, self.soft_target(batch), levels
                )
        if not self.first_diagnostics and self.weights["bound"] != 0:
            self.first_diagnostics = dict(diagnostics)
        return diagnostics

    def alarms(self, diagnostics: dict[str, float]) -> list[str]:
        return information_alarms(
            self.first_diagnostics or diagnostics,
            diagnostics,
            penalised=self.weights["bound"] != 0,
            estimators_learn=self.options.inner_steps > 0,
        )

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "estimators": self.chain.state_dict(),
            "estimator_optimizer": self.estimator_optimizer.state_dict(),
            "share": self.share.state(),
            "first_figures": self.first_diagnostics,  # the key that every checkpoint has
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.chain.load_state_dict(state["estimators"])
        fused = self.estimator_optimizer.param_groups[0]["fused"]
        self.estimator_optimizer.load_state_dict(with_fused(state["estimator_optimizer"], fused))
        super().load_state(state)
        if "share" in state:  # older checkpoints have none
            self.share.load_state(state["share"])
        self.first_diagnostics = state["first_figures"]


def build_chain(
    student: Student, options: IBSDOptions
) -> MarkovChain | ConditionalChain | DegradationChain:
    """The estimators of the student's links, freshly initialised."""
    spec = student.spec
    floor = options.spread_floor
    num_links = spec.num_nodes - 1
    if options.given == "degradation":
        return DegradationChain(spec.channels, num_links, floor)
    if options.given == "hr":
        return ConditionalChain(spec.channels, 3 * spec.scale**2, num_links, floor)
    if options.nodes == "cut":
        num_links = 1
    return MarkovChain(spec.channels, num_links, floor, options.shuffled, options.learned_spread)
