r"""What estimators fitted afresh see in a frozen student: the test that tells forgetting from hiding and from shrinking (METHOD 5, 6).

The bound of a link x = F_{k-1}, y = F_k under q(x | y) = Laplace(mu(y), b(y)), with x' the earlier map of another image:

    B = E[ ( |mu(y) - x'| - |mu(y) - x| ) / b(y) ]        (negatives "others"; "all" of N gives exactly (N - 1) / N of it)

Which rescalings change B:

- *Estimators held fixed.* x -> s x changes it: the gain per element is at most s |x' - x| / b, so B falls to 0 with s. y -> s y changes
  it through mu and b. A common s leaves it only where mu(s y) = s mu(y) and b(s y) = s b(y), which the published estimator breaks
  (biases, softplus, a map that is quadratic in y). So with estimators that lag, smaller features alone lower the bound.
- *Estimators refitted* over a family that contains (D mu(A y + a) + t, |D| b(A y + a)) with every (mu, b), for diagonal A and D: no
  per-channel change of units x -> D x + t, y -> A y + a changes B at the best fit, and the likelihood loss moves by mean log |D|. The
  published family contains the changes of y's scale exactly, of x's scale only if common to all channels, and its spread follows only
  down to the floor: once s b < floor, B falls even for the best fit.
- *Standardised nodes, estimators refitted*: no per-channel change of scale or offset (D > 0) changes anything, by construction.

Fresh estimators have a resolution: their spread is at least 5 % of the earlier node's deviation. Nodes of a network are nearly functions of
each other, so without one the best spread tends to 0 nearly everywhere, the few places where the guess is wrong rule every mean, and two
fits of one student differ severalfold (the middle link of a narrow IMDN, same 480 patches and steps: gains of 0.3 and 2.3 nats with a
floor of 0.001, of 2.61 and 2.63 with this one).

Hence four readings of one student on the same held-out patches, each a bound per link: `trained` (the run's own estimators), `recalibrated`
(the same after the best change of units of both nodes, per channel, found by likelihood), `fresh` (new estimators fitted to convergence)
and `standardised` (new estimators on standardised nodes). `account.py` splits a drop of the bound with them. Beside each bound stands the
`gain`, the likelihood won over the best Laplace that ignores y: predictive information in nats per element, which does not explode with
1/b.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ibsd.data.patches import ImageStack
from ibsd.distillation import IBSD, Objective
from ibsd.evaluation.crops import Crops, cut_crops, split_images
from ibsd.information.chain import MarkovChain
from ibsd.information.club import club_upper_bound, laplace_nll
from ibsd.information.estimator import SPREAD_FLOOR, SPREAD_SCALE, LaplaceEstimator
from ibsd.students import Student
from ibsd.types import InputError

RESOLUTION = 0.05
"""Smallest spread of fresh estimators, as a share of the earlier node's standard deviation."""

NEGATIVES_BATCH = 8
"""N of the bound under negatives "all", unless told otherwise: the batch of the published and the sketched runs is 8 to 16."""


Nodes = tuple[Tensor, ...]
"""F0, F1, ... of many patches, without graph: each [M, C, h, w] in fp32 (or fp64)."""


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
            return None if value is None else Figures(**{name: tuple(each) for name, each in value.items()})

        of_figures: dict[str, Any] = {name: figures(table[name]) for name in ("trained", "recalibrated", "fresh", "standardised")}
        of_tuples: dict[str, Any] = {name: tuple(table[name]) for name in ("scale", "fit_steps")}
        return cls(**(table | of_figures | of_tuples))


class Fit(NamedTuple):
    """Estimators at their best on `stop`, link by link."""

    chain: MarkovChain
    steps: tuple[int, ...]
    converged: bool


def cut_patches(stack: ImageStack, size_px: int, per_image: int = 8, seed: int = 0) -> Patches:
    """Patches of the stack's images: half of the images to fit on, a fifth to stop by, the rest held out; disjoint."""
    parts = split_images(len(stack), (0.5, 0.2, 0.3), seed)
    return Patches(*(cut_crops(stack, per_image, size_px, seed + k, part) for k, part in enumerate(parts)))


@torch.no_grad()
def trace_nodes(student: Student, lr: Tensor, chunk: int = 16) -> Nodes:
    """The nodes of every patch, in fp32, from the student in eval mode; it is left in the mode it came in."""
    training = student.training
    student.eval()
    device = next(student.parameters()).device
    traces = [student.trace(part.to(device)).nodes for part in lr.split(chunk)]
    student.train(training)
    return tuple(torch.cat([node.float() for node in same]) for same in zip(*traces, strict=True))


def read_run(objective: Objective, patches: Patches, **options: Any) -> Reading:
    """`read` of a run: with its own estimators and view of the nodes where it has unconditional ones that learn, else fresh ones only."""
    if isinstance(objective, IBSD) and isinstance(objective.chain, MarkovChain) and objective.inner_steps:
        seen = objective.seen
        return read(objective.student, patches, objective.chain, **{"view": lambda nodes: seen(nodes, nodes[0])} | options)
    return read(objective.student, patches, **options)


def read(
    student: Student,
    patches: Patches,
    trained: MarkovChain | None = None,
    view: Callable[[Nodes], Nodes] = lambda nodes: nodes,
    **options: Any,
) -> Reading:
    """All four readings of a student, in fp32: a forward pass of every patch, then `read_nodes`.

    Args:
        trained: the estimators of the student's own run, which are not changed; None for a student that has none.
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
        fit, stop, held: estimators learn from the first, stop by the second, and are read on the third.
        trained: the estimators of the student's own run; without them there are no readings `trained` and `recalibrated`.
        resolution: of the fresh estimators.
        negatives_batch: N.
        fitting: other options of the two fits, see `fit_fresh`.
    """
    of_trained = of_recalibrated = None
    if trained is not None:
        of_trained = measure(trained, held, fit, negatives_batch)
        of_recalibrated = measure_recalibrated(trained, fit, stop, held, negatives_batch, seed)
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
        facts={"patches": [len(nodes[0]) for nodes in (fit, stop, held)], "patch_px": fit[0].shape[-1], "seed": seed},
    )


def in_units_of(nodes: Nodes, reference: Nodes) -> Nodes:
    """Each channel less the reference's mean of that channel, over its deviation; a channel that is constant there stays 0."""
    maps = []
    for node, like in zip(nodes, reference, strict=True):
        mean = like.mean(dim=(0, 2, 3), keepdim=True)
        deviation = (like - mean).square().mean(dim=(0, 2, 3), keepdim=True).sqrt()
        maps.append(torch.where(deviation > 0, (node - mean) / deviation.clamp_min(torch.finfo(node.dtype).tiny), 0.0))
    return tuple(maps)


def fit_fresh(
    fit: Nodes,
    stop: Nodes,
    *,
    seed: int = 0,
    resolution: float = RESOLUTION,
    learning_rate: float = 3e-3,
    batch_size: int = 4,
    max_steps: int = 6000,
    check_every: int = 100,
    patience: int = 4,
    tolerance: float = 0.01,
) -> Fit:
    """New estimators fitted by likelihood until they no longer improve on `stop`.

    The links share nothing, so one Adam fits all, and each keeps the weights of its own best check. When no link has improved by
    `tolerance` nats per element for `patience` checks, all go back to their best and the learning rate falls to a third; after the third
    time the fit has converged. Deterministic on the CPU for a seed; the global generator stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        chain = MarkovChain(fit[0].shape[1], len(fit) - 1).to(fit[0].device, fit[0].dtype)
    for link, earlier in zip(chain.ibs, fit, strict=False):
        assert isinstance(link, LaplaceEstimator)
        deviation = (earlier - earlier.mean(dim=(0, 2, 3), keepdim=True)).square().mean().sqrt()
        link.floor = max(resolution * float(deviation), SPREAD_FLOOR)
        start_constant(link, earlier)
    optimizer = torch.optim.Adam(chain.parameters(), lr=learning_rate)
    best = [(nll, 0, copy.deepcopy(link.state_dict())) for nll, link in zip(likelihoods(chain, stop), chain.ibs, strict=True)]
    mark, last_gain = [nll for nll, _, _ in best], 0
    batches = shuffled(fit, batch_size, seed)
    falls = step = 0
    while step < max_steps and falls < 3:
        for _ in range(min(check_every, max_steps - step)):
            optimizer.zero_grad(set_to_none=True)
            chain.nll(next(batches)).backward()
            optimizer.step()
            step += 1
        for k, nll in enumerate(likelihoods(chain, stop)):
            if nll < best[k][0]:
                best[k] = nll, step, copy.deepcopy(chain.ibs[k].state_dict())
            if nll < mark[k] - tolerance:
                mark[k], last_gain = nll, step
        if step - last_gain >= patience * check_every:
            falls, last_gain = falls + 1, step
            optimizer.param_groups[0]["lr"] /= 3
            take_back(chain, best)
    take_back(chain, best)
    return Fit(chain.requires_grad_(False), tuple(step for _, step, _ in best), converged=falls == 3)


def take_back(chain: MarkovChain, best: Sequence[tuple[float, int, dict[str, Any]]]) -> None:
    """Gives every link its best weights, the last of each (likelihood, step, weights)."""
    for link, (_, _, state) in zip(chain.ibs, best, strict=True):
        link.load_state_dict(state)


@torch.no_grad()
def start_constant(link: LaplaceEstimator, earlier: Tensor) -> None:
    """Lets a new estimator start near the best constant Laplace (gain 0), whatever the units: biases that fit, last weights made small."""
    location, spread = constant_laplace(earlier)
    raw = ((spread - link.floor).clamp_min(1e-4 * SPREAD_SCALE) / SPREAD_SCALE).double()
    for network, bias in ((link.mean, location), (link.var, raw + torch.log(-torch.expm1(-raw)))):  # the inverse of softplus
        last = network[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.weight.mul_(0.1)
        last.bias.copy_(bias.flatten())
    for kernel in link.kernel.values():
        for parameter in kernel.parameters():
            parameter.mul_(0.1)


@torch.no_grad()
def measure(chain: MarkovChain | Recalibrated, nodes: Nodes, reference: Nodes, negatives_batch: int = NEGATIVES_BATCH) -> Figures:
    """Bound, likelihood loss and gain of each link, averaged over consecutive batches of N patches (a last smaller one is left out).

    `reference` fits the constant Laplace that the gain compares with. InputError for fewer than N patches.
    """
    total = len(nodes[0])
    if total < negatives_batch or negatives_batch < 2:
        raise InputError(f"information probe: {total} held-out patches do not make a batch of {negatives_batch}; cut more patches")
    constant = [constant_laplace(node) for node in reference[:-1]]
    sums = torch.zeros(3, len(constant), dtype=torch.float64)
    starts = range(0, total - negatives_batch + 1, negatives_batch)
    for start in starts:
        batch = tuple(node[start : start + negatives_batch] for node in nodes)
        sums[0] += torch.stack([club_upper_bound(*link, negatives="others") for link in chain.links(batch)]).cpu()
        sums[1] += torch.stack(chain.nlls(batch)).cpu()
        ignorant = [laplace_nll(node, mu.expand_as(node), b.expand_as(node)) for node, (mu, b) in zip(batch, constant, strict=False)]
        sums[2] += torch.stack(ignorant).cpu()
    bound, nll, without = (sums / len(starts)).unbind()
    return Figures(
        bound=tuple(bound.tolist()),
        bound_all=tuple((bound * (negatives_batch - 1) / negatives_batch).tolist()),
        nll=tuple(nll.tolist()),
        gain=tuple((without - nll).tolist()),
    )


def constant_laplace(node: Tensor) -> tuple[Tensor, Tensor]:
    """Location and spread per channel, [1, C, 1, 1], of the Laplace that fits best without knowing anything: median, mean distance from
    it."""
    values = node.transpose(0, 1).flatten(1)
    location = values.median(dim=1, keepdim=True).values
    spread = (values - location).abs().mean(dim=1, keepdim=True).clamp_min(torch.finfo(node.dtype).tiny)
    return location.view(1, -1, 1, 1), spread.view(1, -1, 1, 1)


class Recalibrated(nn.Module):
    """A frozen chain behind a change of units of both nodes of each link: every channel with its own positive scale and offset.

    It starts as no change. Units are a link's own: a node's as the later of one link need not be those as the earlier of the next.
    """

    def __init__(self, chain: MarkovChain, channels: int) -> None:
        super().__init__()
        self.chain = copy.deepcopy(chain).requires_grad_(False)
        links = len(chain.ibs)
        self.log_scale = nn.Parameter(torch.zeros(links, 2, 1, channels, 1, 1))
        self.offset = nn.Parameter(torch.zeros(links, 2, 1, channels, 1, 1))

    def links(self, nodes: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """As of the chain, but in the units in which its estimators work."""
        links = []
        for k, estimator in enumerate(self.chain.ibs):
            earlier, later = (
                node * self.log_scale[k, side].exp() + self.offset[k, side] for side, node in enumerate((nodes[k], nodes[k + 1]))
            )
            links.append((earlier, *estimator(later)))
        return links

    def nlls(self, nodes: Sequence[Tensor]) -> list[Tensor]:
        """Of the nodes in their own units: the density of the earlier node is divided by its scale."""
        return [laplace_nll(*link) - self.log_scale[k, 0].mean() for k, link in enumerate(self.links(nodes))]


def measure_recalibrated(
    trained: MarkovChain,
    fit: Nodes,
    stop: Nodes,
    held: Nodes,
    negatives_batch: int,
    seed: int,
    steps: int = 400,
    learning_rate: float = 0.03,
) -> Figures:
    """`measure` of the trained estimators after the best change of units; it never does worse on `stop` than no change."""
    changed = Recalibrated(trained, fit[0].shape[1]).to(fit[0].device, fit[0].dtype)
    optimizer = torch.optim.Adam([changed.log_scale, changed.offset], lr=learning_rate)
    best = likelihoods(changed, stop)
    kept = [(changed.log_scale[k].detach().clone(), changed.offset[k].detach().clone()) for k in range(len(best))]
    batches = shuffled(fit, 16, seed)
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = learning_rate * (1 - 0.9 * step / steps)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(changed.nlls(next(batches))).sum().backward()
        optimizer.step()
        if step % 25 == 0:
            for k, nll in enumerate(likelihoods(changed, stop)):
                if nll < best[k]:
                    best[k], kept[k] = nll, (changed.log_scale[k].detach().clone(), changed.offset[k].detach().clone())
    with torch.no_grad():
        for k, (log_scale, offset) in enumerate(kept):
            changed.log_scale[k], changed.offset[k] = log_scale, offset
    return measure(changed, held, fit, negatives_batch)


@torch.no_grad()
def likelihoods(chain: MarkovChain | Recalibrated, nodes: Nodes, chunk: int = 32) -> list[float]:
    """Likelihood loss of each link over all patches."""
    total = len(nodes[0])
    sums = torch.zeros(len(nodes) - 1, dtype=torch.float64)
    for start in range(0, total, chunk):
        part = tuple(node[start : start + chunk] for node in nodes)
        sums += torch.stack(chain.nlls(part)).double().cpu() * len(part[0])
    return (sums / total).tolist()


def shuffled(nodes: Nodes, batch_size: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches, all patches once per round in random order."""
    generator = torch.Generator().manual_seed(seed)
    total = len(nodes[0])
    while True:
        for index in torch.randperm(total, generator=generator).split(min(batch_size, total)):
            yield tuple(node[index.to(node.device)] for node in nodes)
