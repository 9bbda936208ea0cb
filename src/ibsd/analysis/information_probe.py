r"""What estimators fitted afresh see in a frozen student: the test that tells forgetting from
hiding and from shrinking (docs/method.md 6).

The bound of a link x = F_{k-1}, y = F_k under q(x | y) = Laplace(mu(y), b(y)), with x' the earlier
map of another image:

    B = E[ ( |mu(y) - x'| - |mu(y) - x| ) / b(y) ]        (negatives "others"; "all" of N gives
    exactly (N - 1) / N of it)

Which rescalings change B:

- *Estimators held fixed.* x -> s x changes it: the gain per element is at most s |x' - x| / b, so B
falls to 0 with s. y -> s y changes
  it through mu and b. A common s leaves it only where mu(s y) = s mu(y) and b(s y) = s b(y), which
  the published estimator breaks (biases, softplus, a map that is quadratic in y). So with
  estimators that lag, smaller features alone lower the bound.
- *Estimators refitted* over a family that contains (D mu(A y + a) + t, |D| b(A y + a)) with every
(mu, b), for diagonal A and D: no
  per-channel change of units x -> D x + t, y -> A y + a changes B at the best fit, and the
  likelihood loss moves by mean log |D|. The published family contains the changes of y's scale
  exactly, of x's scale only if common to all channels, and its spread follows only down to the
  floor: once s b < floor, B falls even for the best fit.
- *Standardised nodes, estimators refitted*: no per-channel change of scale or offset (D > 0)
changes anything, by construction.

Hence four readings of one student on the same held-out patches, each a bound per link: `trained`
(the run's own estimators), `recalibrated` (the same after the best change of units of both nodes,
per channel, found by likelihood), `fresh` (new estimators fitted to convergence) and `standardised`
(new estimators on standardised nodes); `fresh_estimators.py` fits what they need. `account.py`
splits a drop of the bound with them. Beside each bound stands the `gain`, the likelihood won over
the best Laplace that ignores y: predictive information in nats per element, which does not explode
with 1/b.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ibsd.analysis.crops import Crops, cut_crops, split_images
from ibsd.analysis.fresh_estimators import (
    RESOLUTION,
    Chain,
    Nodes,
    constant_laplace,
    fit_fresh,
    recalibrate,
)
from ibsd.data.image_stack import ImageStack
from ibsd.distillation import IBSD, Objective
from ibsd.information.chain import MarkovChain
from ibsd.information.club import club_upper_bound, laplace_nll
from ibsd.students import Student
from ibsd.types import InputError

NEGATIVES_BATCH = 8
"""N of the bound under negatives "all", unless told otherwise: the batch of the published and the
sketched runs is 8 to 16."""


class Patches(NamedTuple):
    """Crops of three disjoint sets of photographs."""

    fit: Crops
    """Estimators learn from these."""
    stop: Crops
    """Tell when to stop."""
    held: Crops
    """Give the readings."""


@dataclass(frozen=True)
class Figures:
    """One figure per link, on held-out patches, in nats per element."""

    bound: tuple[float, ...]
    """CLUB with negatives "others", which does not depend on the number of negatives."""
    bound_all: tuple[float, ...]
    """The same with negatives "all": (N - 1) / N of it."""
    nll: tuple[float, ...]
    gain: tuple[float, ...]
    """Likelihood loss of the best constant Laplace per channel, less `nll`."""


@dataclass(frozen=True)
class Reading:
    """What estimators see in one student."""

    trained: Figures | None
    """None for a student without estimators of its own."""
    recalibrated: Figures | None
    fresh: Figures
    standardised: Figures
    scale: tuple[float, ...]
    """Standard deviation of each node."""
    negatives_batch: int
    """N."""
    resolution: float
    """Of the fresh estimators."""
    fit_steps: tuple[int, ...]
    """Steps to the best fresh estimator of each link, then of each standardised link."""
    converged: bool
    """Whether every fresh fit stopped improving before its last step."""
    facts: dict[str, Any]
    """Numbers of patches, seed."""

    def as_table(self) -> dict[str, Any]:
        """Plain nested dict, for JSON."""
        return asdict(self)

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> Reading:
        """Back from `as_table`, also after JSON made lists of tuples."""

        def figures(value: dict[str, Any] | None) -> Figures | None:
            return (
                None
                if value is None
                else Figures(**{name: tuple(each) for name, each in value.items()})
            )

        of_figures: dict[str, Any] = {
            name: figures(table[name])
            for name in ("trained", "recalibrated", "fresh", "standardised")
        }
        of_tuples: dict[str, Any] = {name: tuple(table[name]) for name in ("scale", "fit_steps")}
        return cls(**(table | of_figures | of_tuples))


def cut_patches(stack: ImageStack, size_px: int, per_image: int = 8, seed: int = 0) -> Patches:
    """Patches of the stack's images: half of the images to fit on, a fifth to stop by, the rest
    held out; disjoint."""
    parts = split_images(len(stack), (0.5, 0.2, 0.3), seed)
    return Patches(
        *(cut_crops(stack, per_image, size_px, seed + k, part) for k, part in enumerate(parts))
    )


@torch.no_grad()
def trace_nodes(student: Student, lr: Tensor, chunk: int = 16) -> Nodes:
    """The nodes of every patch, in fp32, from the student in eval mode; it is left in the mode it
    came in."""
    training = student.training
    student.eval()
    device = next(student.parameters()).device
    traces = [student.trace(part.to(device)).nodes for part in lr.split(chunk)]
    student.train(training)
    return tuple(torch.cat([node.float() for node in same]) for same in zip(*traces, strict=True))


def own_chain(objective: Objective) -> MarkovChain | None:
    """The estimators of a run that can be read: unconditional ones that learn."""
    has_them = (
        isinstance(objective, IBSD)
        and isinstance(objective.chain, MarkovChain)
        and objective.options.inner_steps
    )
    return objective.chain if has_them else None  # type: ignore[attr-defined]


def read_run(objective: Objective, patches: Patches, **options: Any) -> Reading:
    """`read` of a run: with its own estimators and view of the nodes where it has some that can be
    read, else fresh ones only."""
    if (chain := own_chain(objective)) is None:
        return read(objective.student, patches, **options)
    assert isinstance(objective, IBSD)
    seen = objective.view
    return read(
        objective.student, patches, chain, **{"view": lambda nodes: seen(nodes, nodes[0])} | options
    )


def read(
    student: Student,
    patches: Patches,
    trained: MarkovChain | None = None,
    view: Callable[[Nodes], Nodes] = lambda nodes: nodes,
    **options: Any,
) -> Reading:
    """All four readings of a student, in fp32: a forward pass of every patch, then `read_nodes`.

    Args:
        trained: the estimators of the student's own run, which are not changed; None for a student
            that has none.
        view: what the estimators see of the nodes (see `information/view.py`); default the nodes.
        options: of `read_nodes`.
    """
    fit, stop, held = (view(trace_nodes(student, crops.lr)) for crops in patches)
    return read_nodes(fit, stop, held, trained, **options)


def read_nodes(
    fit: Nodes,
    stop: Nodes,
    held: Nodes,
    trained: MarkovChain | None = None,
    *,
    resolution: float = RESOLUTION,
    negatives_batch: int = NEGATIVES_BATCH,
    seed: int = 0,
    **fitting: Any,
) -> Reading:
    """All four readings of a student whose nodes on three disjoint sets of patches are given.

    Args:
        fit, stop, held: estimators learn from the first, stop by the second, and are read on the
            third.
        trained: the estimators of the student's own run; without them there are no readings
            `trained` and `recalibrated`.
        resolution: of the fresh estimators.
        negatives_batch: N.
        fitting: other options of the three fits, see `fit_links`; `learning_rate` of the fresh
            ones.
    """
    of_trained = of_recalibrated = None
    if trained is not None:
        of_trained = measure(trained, held, fit, negatives_batch)
        of_recalibrated = measure(
            recalibrate(trained, fit, stop, seed=seed, **fitting), held, fit, negatives_batch
        )
    fresh = fit_fresh(fit, stop, seed=seed, resolution=resolution, **fitting)
    fit_s, stop_s, held_s = (in_units_of(nodes, fit) for nodes in (fit, stop, held))
    fresh_s = fit_fresh(fit_s, stop_s, seed=seed, resolution=resolution, **fitting)
    return Reading(
        trained=of_trained,
        recalibrated=of_recalibrated,
        fresh=measure(fresh.chain, held, fit, negatives_batch),
        standardised=measure(fresh_s.chain, held_s, fit_s, negatives_batch),
        scale=tuple(float(node.std()) for node in held),
        negatives_batch=negatives_batch,
        resolution=resolution,
        fit_steps=fresh.steps + fresh_s.steps,
        converged=fresh.converged and fresh_s.converged,
        facts={
            "patches": [len(nodes[0]) for nodes in (fit, stop, held)],
            "patch_px": fit[0].shape[-1],
            "seed": seed,
        },
    )


def in_units_of(nodes: Nodes, reference: Nodes) -> Nodes:
    """Each channel less the reference's mean of that channel, over its deviation; a channel that is
    constant there stays 0."""
    maps = []
    for node, like in zip(nodes, reference, strict=True):
        mean = like.mean(dim=(0, 2, 3), keepdim=True)
        deviation = (like - mean).square().mean(dim=(0, 2, 3), keepdim=True).sqrt()
        maps.append(
            torch.where(
                deviation > 0,
                (node - mean) / deviation.clamp_min(torch.finfo(node.dtype).tiny),
                0.0,
            )
        )
    return tuple(maps)


@torch.no_grad()
def measure(
    chain: Chain, nodes: Nodes, reference: Nodes, negatives_batch: int = NEGATIVES_BATCH
) -> Figures:
    """Bound, likelihood loss and gain of each link, averaged over consecutive batches of N patches
    (a last smaller one is left out).

    `reference` fits the constant Laplace that the gain compares with. InputError for fewer than N
    patches.
    """
    total = len(nodes[0])
    if total < negatives_batch or negatives_batch < 2:
        raise InputError(
            f"information probe: {total} held-out patches do not make a batch of {negatives_batch}; cut more patches"
        )
    constant = [constant_laplace(node) for node in reference[:-1]]
    sums = torch.zeros(3, len(constant), dtype=torch.float64)
    starts = range(0, total - negatives_batch + 1, negatives_batch)
    for start in starts:
        batch = tuple(node[start : start + negatives_batch] for node in nodes)
        sums[0] += torch.stack(
            [club_upper_bound(*link, negatives="others") for link in chain.links(batch)]
        ).cpu()
        sums[1] += torch.stack(chain.nlls(batch)).cpu()
        ignorant = [
            laplace_nll(node, mu.expand_as(node), b.expand_as(node))
            for node, (mu, b) in zip(batch, constant, strict=False)
        ]
        sums[2] += torch.stack(ignorant).cpu()
    bound, nll, without = (sums / len(starts)).unbind()
    return Figures(
        bound=tuple(bound.tolist()),
        bound_all=tuple((bound * (negatives_batch - 1) / negatives_batch).tolist()),
        nll=tuple(nll.tolist()),
        gain=tuple((without - nll).tolist()),
    )
