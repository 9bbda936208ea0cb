"""What estimators fitted afresh see in a frozen student: the test that tells forgetting from
hiding and from shrinking (docs/method.md 6).

The bound of a link x = F_{k-1}, y = F_k under q(x | y) = Laplace(mu(y), b(y)), with x' the earlier
map of another image, is

    B = E[ ( |mu(y) - x'| - |mu(y) - x| ) / b(y) ]

with negatives "others"; "all" of N gives exactly (N - 1) / N of it. Which rescalings change B:

- *Estimators held fixed.* x -> s x changes B: the gain per element is at most s |x' - x| / b, so B
  falls to 0 with s. y -> s y changes B through mu and b. A common s leaves B only where mu(s y) = s
  mu(y) and b(s y) = s b(y), which the published estimator breaks (biases, softplus, a map that is
  quadratic in y). So with estimators that lag, smaller features alone lower the bound.
- *Estimators refitted* over a family that contains (D mu(A y + a) + t, |D| b(A y + a)) with every
  (mu, b), for diagonal A and D: no per-channel change of units x -> D x + t, y -> A y + a changes B
  at the best fit, and the likelihood loss moves by mean log |D|. The published family contains the
  changes of y's scale exactly, and of x's scale only if common to all channels. Its spread follows
  only down to the floor: once s b < floor, B falls even for the best fit.
- *Standardised nodes, estimators refitted*: no per-channel change of scale or offset (D > 0)
  changes anything, by construction.

Hence four readings of one student on the same held-out patches, each a bound per link: `trained`
(the run's own estimators), `recalibrated` (the same after the best change of units of both nodes,
per channel, found by likelihood), `fresh` (new estimators fitted to convergence) and `standardised`
(new estimators on standardised nodes). `fresh_estimators.py` fits them, and `decomposition.py`
splits a drop of the bound with them. Beside each bound stands the `gain`, the likelihood won over
the best Laplace that ignores y: predictive information in nats per element, which does not explode
with 1 / b.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ibsd.analysis.crops import CropSets
from ibsd.analysis.fresh_estimators import (
    DEFAULT_FIT,
    RESOLUTION,
    Chain,
    FitOptions,
    Nodes,
    constant_laplace,
    fit_fresh,
    recalibrate,
)
from ibsd.config.parsing import build
from ibsd.distillation import IBSD, Objective
from ibsd.information.chain import MarkovChain
from ibsd.information.club import club_upper_bound, laplace_nll
from ibsd.students.student import Student, untouched
from ibsd.types import InputError


@dataclass(frozen=True)
class ReadingOptions:
    """How a reading is made."""

    resolution: float = RESOLUTION
    """Of the fresh estimators."""
    negatives_batch: int = 8
    """N of the bound under negatives "all". Runs have batches of 8 to 16."""
    seed: int = 0
    fit: FitOptions = DEFAULT_FIT
    """Options of the three fits; `learning_rate` is that of the fresh ones."""


DEFAULT_READING = ReadingOptions()


@dataclass(frozen=True)
class LinkInformation:
    """Figures of each link, on held-out patches, in nats per element."""

    bound: tuple[float, ...]
    """CLUB with negatives "others", which does not depend on the number of negatives."""
    bound_all: tuple[float, ...]
    """`bound` with negatives "all": (N - 1) / N of it."""
    nll: tuple[float, ...]
    """Likelihood loss."""
    gain: tuple[float, ...]
    """Likelihood loss of the best constant Laplace per channel, less `nll`."""


@dataclass(frozen=True)
class Reading:
    """What estimators see in one student."""

    trained: LinkInformation | None
    """None for a student without estimators of its own."""
    recalibrated: LinkInformation | None
    fresh: LinkInformation
    standardised: LinkInformation
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
    setup: dict[str, Any]
    """Numbers of patches, their side, seed."""

    def as_json(self) -> dict[str, Any]:
        """Plain nested dict, for JSON. Stored readings call `setup` "facts"."""
        table = asdict(self)
        return table | {"facts": table.pop("setup")}

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Reading:
        """Back from `as_json`, also after JSON made lists of tuples."""
        figures = {name: value for name, value in table.items() if name != "facts"}
        return build(cls, figures | {"setup": table["facts"]}, "reading")


def trace_nodes(student: Student, lr: Tensor) -> Nodes:
    """The nodes of every patch, in fp32, from the student in eval mode; it is left in the mode it
    came in."""
    device = next(student.parameters()).device
    with untouched(student):
        traces = [student.trace(part.to(device)).nodes for part in lr.split(16)]
    return tuple(torch.cat([node.float() for node in parts]) for parts in zip(*traces, strict=True))


def own_chain(objective: Objective) -> MarkovChain | None:
    """The run's estimators, if they learn and are given nothing but the nodes; else None."""
    if not isinstance(objective, IBSD) or not isinstance(objective.chain, MarkovChain):
        return None
    return objective.chain if objective.options.inner_steps else None


def read_run(
    objective: Objective, crops: CropSets, options: ReadingOptions = DEFAULT_READING
) -> Reading:
    """`read_student` of a run: with the estimators of `own_chain` and what they see of the nodes,
    else with fresh ones only."""
    chain = own_chain(objective)
    if chain is None:
        return read_student(objective.student, crops, options=options)
    assert isinstance(objective, IBSD)
    seen = objective.view

    def view(nodes: Nodes) -> Nodes:
        return seen(nodes, hr=nodes[0])  # in place of HR, which these estimators are not given

    return read_student(objective.student, crops, chain, view, options)


def read_student(
    student: Student,
    crops: CropSets,
    trained: MarkovChain | None = None,
    view: Callable[[Nodes], Nodes] = lambda nodes: nodes,
    options: ReadingOptions = DEFAULT_READING,
) -> Reading:
    """All four readings of a student, in fp32: a forward pass of every patch, then `read_nodes`.

    Args:
        trained: the estimators of the student's own run, which are not changed; None for a student
            that has none.
        view: what the estimators see of the nodes (see `information/view.py`); default the nodes.
    """
    fit, stop, held_out = (view(trace_nodes(student, part.lr)) for part in crops)
    return read_nodes(fit, stop, held_out, trained, options)


def read_nodes(
    fit: Nodes,
    stop: Nodes,
    held_out: Nodes,
    trained: MarkovChain | None = None,
    options: ReadingOptions = DEFAULT_READING,
) -> Reading:
    """All four readings of a student whose nodes on three disjoint sets of patches are given.

    Args:
        fit, stop, held_out: estimators learn from the first, stop by the second, and are read on
            the third.
        trained: the estimators of the student's own run; without them there are no readings
            `trained` and `recalibrated`.
    """
    seed = options.seed
    batch = options.negatives_batch
    of_trained = of_recalibrated = None
    if trained is not None:
        of_trained = link_information(trained, held_out, fit, batch)
        recalibrated = recalibrate(trained, fit, stop, seed=seed, options=options.fit)
        of_recalibrated = link_information(recalibrated, held_out, fit, batch)
    fresh_fit = partial(fit_fresh, seed=seed, resolution=options.resolution, options=options.fit)
    fresh = fresh_fit(fit, stop)
    fit_s, stop_s, held_out_s = (in_units_of(nodes, fit) for nodes in (fit, stop, held_out))
    fresh_s = fresh_fit(fit_s, stop_s)
    return Reading(
        trained=of_trained,
        recalibrated=of_recalibrated,
        fresh=link_information(fresh.chain, held_out, fit, batch),
        standardised=link_information(fresh_s.chain, held_out_s, fit_s, batch),
        scale=tuple(float(node.std()) for node in held_out),
        negatives_batch=batch,
        resolution=options.resolution,
        fit_steps=fresh.steps + fresh_s.steps,
        converged=fresh.converged and fresh_s.converged,
        setup={
            "patches": [len(nodes[0]) for nodes in (fit, stop, held_out)],
            "patch_px": fit[0].shape[-1],
            "seed": seed,
        },
    )


def in_units_of(nodes: Nodes, reference: Nodes) -> Nodes:
    """Each channel less the reference's mean of that channel, over its deviation; a channel that is
    constant there stays 0."""
    maps: list[Tensor] = []
    for node, like in zip(nodes, reference, strict=True):
        mean = like.mean(dim=(0, 2, 3), keepdim=True)
        deviation = (like - mean).square().mean(dim=(0, 2, 3), keepdim=True).sqrt()
        standard = (node - mean) / deviation.clamp_min(torch.finfo(node.dtype).tiny)
        maps.append(torch.where(deviation > 0, standard, 0.0))
    return tuple(maps)


@torch.no_grad()
def link_information(
    chain: Chain, nodes: Nodes, reference: Nodes, negatives_batch: int
) -> LinkInformation:
    """Bound, likelihood loss and gain of each link, averaged over consecutive batches of N patches
    (a last smaller one is left out).

    `reference` fits the constant Laplace that the gain compares with. InputError for fewer than N
    patches.
    """
    total = len(nodes[0])
    if total < negatives_batch or negatives_batch < 2:
        raise InputError(
            f"information probe: {total} held-out patches are no batch of {negatives_batch}; cut "
            "more patches"
        )
    constant = [constant_laplace(node) for node in reference[:-1]]
    sums = torch.zeros(3, len(constant), dtype=torch.float64)
    starts = range(0, total - negatives_batch + 1, negatives_batch)
    for start in starts:
        batch = tuple(node[start : start + negatives_batch] for node in nodes)
        bounds = [club_upper_bound(*link, negatives="others") for link in chain.links(batch)]
        sums[0] += torch.stack(bounds).cpu()
        sums[1] += torch.stack(chain.nlls(batch)).cpu()
        of_constant = [
            laplace_nll(node, mu.expand_as(node), b.expand_as(node))
            for node, (mu, b) in zip(batch[:-1], constant, strict=True)
        ]
        sums[2] += torch.stack(of_constant).cpu()
    bound, nll, constant_nll = (sums / len(starts)).unbind()
    return LinkInformation(
        bound=tuple(bound.tolist()),
        bound_all=tuple((bound * (negatives_batch - 1) / negatives_batch).tolist()),
        nll=tuple(nll.tolist()),
        gain=tuple((constant_nll - nll).tolist()),
    )
