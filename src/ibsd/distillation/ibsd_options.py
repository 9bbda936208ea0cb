"""The options of `IBSD`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ibsd.distillation.soft_target import PastSource
from ibsd.information.club import Reduction, check_negatives, check_reduction
from ibsd.types import require, require_not_negative

Given = Literal["nothing", "hr", "degradation"]
"""What the information of a link is conditioned on. `nothing`: the bound itself. `hr`: information
beyond what the HR image explains (`information/conditional.py`). `degradation`: what the nodes'
statistics tell of the measured degradation, where that is positive
(`information/degradation.py`)."""


@dataclass(frozen=True)
class IBSDOptions:
    """Options of `IBSD`. The config section [objective.options].

    The defaults of the weights and of `pool` were chosen on validation images of real cameras
    (docs/archive/search.md). Errors: InputError naming the option that is out of range.
    """

    lambda_mi: float = 1e-4
    """Weight of the bound (nats per element, summed over links, with reduction `mean`)."""
    lambda_hf: float = 1.0
    """Weight of the wavelet loss to the soft target."""
    final_share: float = 0.8
    """a_T, the share of the student's past in the soft target at the end of training. With 0 the
    soft target is HR."""
    period: int = 500
    """Updates between snapshots of the past."""
    soft_target: PastSource = "bank"
    """Where the past output comes from."""
    warm_up: int = 200
    """The first updates, in which only the estimators learn and the bound has no weight."""
    ramp: int = 1000
    """Updates after `warm_up` over which the bound's weight rises linearly to `lambda_mi`."""
    estimator_learning_rate: float = 1e-3
    """Of the estimators' own Adam."""
    inner_steps: int = 1
    """Estimator updates per student update. 0 keeps their initial weights, as a control."""
    spread_floor: float = 1e-3
    """Smallest spread b. Larger is safer where estimators lag behind the student."""
    estimator_clip: float = 10.0
    """Largest norm of the estimators' gradient."""
    negatives: Literal["all", "others", "views"] = "all"
    """Which earlier maps of the batch count as unpaired. `views`: those of the same photograph in
    other views only (`information/views.py`); needs data.views = 2."""
    nodes: Literal["chain", "cut"] = "chain"
    """Which feature maps the chain has. `chain`: F0 to F3, the published ones. `cut`: F0 and Z, the
    input of the upsampler, which is the one place that everything passes."""
    share: float = 0.0
    """Wanted norm of the bound's gradient, as a share of L1's. The weight then follows
    (`gradient_share.py`) and begins at `lambda_mi`. 0 for a fixed weight."""
    shuffled: bool = False
    """Whether estimators and bound see shuffled pairs of nodes, in which there is no information:
    with `share` the honest control."""
    learned_spread: bool = True
    """Whether the estimators learn the spread b. If not it is 1: the bound is then a difference of
    absolute errors."""
    gather_negatives: bool = False
    """With several processes: whether the chain sees the joined batch on each of them, so that
    everything equals one process. Otherwise each sees its own part, and the bound has fewer
    negatives (docs/cluster.md)."""
    reduction: Reduction = "mean"
    """`mean`: nats per element. `published`: sums, as in the published code."""
    links: tuple[int, ...] | None = None
    """Numbers, from 1, of the links whose bound is minimised; None for all. The other links are
    only measured."""
    normalise: bool = False
    """Whether the chain sees every channel standardised over the batch, so that smaller features do
    not lower the bound."""
    pool: int = 4
    """The chain sees means over blocks of this many pixels a side; 0 for the pixels themselves."""
    given: Given = "nothing"
    """What the information is conditioned on: `nothing`, `hr` or `degradation`."""
    levels: int = 4
    """Of the wavelet transform."""
    seed: int = 0
    """Of the estimators' initial weights. The global generator is not used."""

    def __post_init__(self) -> None:
        require_not_negative("ibsd", lambda_mi=self.lambda_mi, lambda_hf=self.lambda_hf)
        require_not_negative("ibsd", warm_up=self.warm_up, ramp=self.ramp, pool=self.pool)
        rate, steps = self.estimator_learning_rate, self.inner_steps
        require_not_negative("ibsd", estimator_learning_rate=rate, inner_steps=steps)
        require("ibsd: levels", self.levels, self.levels >= 1, "at least 1")
        for name in ("spread_floor", "estimator_clip"):
            require(f"ibsd: {name}", getattr(self, name), getattr(self, name) > 0, "above 0")
        if self.negatives != "views":
            check_negatives(self.negatives)
        # The joined batch has not all first views before all second ones, but process by process.
        fits = self.negatives != "views" or not self.gather_negatives
        require("ibsd: gather_negatives", True, fits, "false where negatives is 'views'")
        require("ibsd: nodes", self.nodes, self.nodes in ("chain", "cut"), "'chain' or 'cut'")
        fits = 0 <= self.share <= 10 and (self.share == 0 or self.lambda_mi > 0)
        require("ibsd: share", self.share, fits, "0 to 10, and lambda_mi above 0 to begin with")
        known = self.given in ("nothing", "hr", "degradation")
        require("ibsd: given", self.given, known, "'nothing', 'hr' or 'degradation'")
        fits = self.given == "nothing" or (self.nodes == "chain" and not self.shuffled)
        require("ibsd: given", self.given, fits, "'nothing' if nodes is 'cut' or shuffled is set")
        check_reduction(self.reduction)
        fits = self.reduction == "mean" or (self.given == "nothing" and self.negatives != "views")
        require("ibsd: reduction", self.reduction, fits, "'mean' with given or negatives 'views'")
