"""What the runs of a comparison say, as plain values: the content of `results.json`, and all that
tables, pages and plots show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

from ibsd.comparison.design import Design, Role
from ibsd.comparison.statistics import Interval
from ibsd.system import finite, json_text

RANDOM_WEIGHTS = "random weights"
PIXELS = "LR pixels"
"""What a probe sees besides the arms."""
ALL = "all"
"""Of a probe: the mean over the nodes or classifiers."""


@dataclass(frozen=True)
class MeanScore:
    """Mean score of one arm over its seeds and the images."""

    setting: str
    test: str
    weights: str
    metric: str
    arm: str
    mean: float
    num_seeds: int


@dataclass(frozen=True)
class Difference:
    """One arm less another, which is the baseline in `Results.differences`."""

    setting: str
    test: str
    role: str
    weights: str
    metric: str
    arm: str
    against: str
    """The arm that is subtracted."""
    num_seeds: int
    num_images: int
    mean: float
    seed_means: tuple[float, ...]
    t_interval: Interval | None
    bootstrap_interval: Interval | None
    smallest_detectable: float | None
    """The smallest size of the mean that both intervals would have told from zero: see
    `PairedDifference`."""
    wins: int
    losses: int
    noise_floor: float | None
    """Another data order alone keeps the mean over as many seeds below this in 95 % of cases, by
    the A/A pair."""
    verdict: str
    """`better`, `worse`, `no difference shown`, or `no interval` with fewer than three seeds.
    `mixed` where both intervals exclude zero and a part of the mean has another sign."""
    kind: Role
    """`treatment`: a paired difference; `a/a` and `unpaired` as in `design`."""
    primary: bool
    """Whether this is the primary figure: the primary metric of the averaged weights where
    `Design.is_claim`."""
    parts: dict[str, float] = field(default_factory=dict)
    """{setting/test set: difference} of the parts of a mean over test sets."""


@dataclass(frozen=True)
class Harm:
    """Where one arm is worse than bicubic, in the primary figure of the averaged weights."""

    setting: str
    test: str
    arm: str
    worst_tenth: float
    """Mean gain over bicubic of the worst tenth of the images, averaged over the seeds. Of a mean
    over test sets, the worst tenth of all images."""
    seed_worst_tenths: tuple[float, ...]
    below: float
    """Share of images below bicubic, 0 to 1."""


@dataclass(frozen=True)
class Cost:
    """What one arm takes in one setting, over its seeds."""

    setting: str
    arm: str
    num_runs: int
    given_up: int
    num_steps: int
    cpu_seconds_per_step: float | None
    seconds_per_step: float | None
    compute: float | None
    """Processor time of the whole training over the baseline's."""
    peak_memory_mib: float
    parameters: int
    same_inference: bool
    """Whether the saved weights have the names, shapes and types of the baseline's: inference costs
    the same."""
    skipped: int
    alarms: int


@dataclass(frozen=True)
class History:
    """Health figures of one arm over training, averaged over its seeds: bound, likelihood, feature
    scale, gradient shares and angles."""

    setting: str
    arm: str
    steps: tuple[int, ...]
    diagnostics: dict[str, tuple[float | None, ...]]
    """{name: one figure per step}; None where no seed has one."""


@dataclass(frozen=True)
class ProbeLine:
    """How often a classifier guesses the class from one node, averaged over the seeds; `all` is the
    mean over nodes or classifiers."""

    setting: str
    arm: str
    """Or RANDOM_WEIGHTS or PIXELS."""
    classifier: str
    node: str
    accuracy: float
    chance: float
    num_seeds: int
    difference: float | None
    """Difference to the baseline of the same seed; None for the baseline."""
    t_interval: Interval | None
    """Over the seeds; None below three."""


@dataclass(frozen=True)
class DecompositionLine:
    """What estimators see in one arm and in the one it is held against; means over the seeds of
    sums over the links, nats per element."""

    setting: str
    arm: str
    against: str
    """The watching arm of the same view; the baseline where the arm has no estimators of its own
    that learn, or none of its view watches."""
    num_seeds: int
    gain: Interval
    """(of `against`, of the arm): likelihood that fresh estimators on standardised nodes win."""
    fresh: Interval
    """Their bound, of both."""
    own: Interval | None
    """The bound under the runs' own estimators, of both."""
    parts: dict[str, float] | None
    """Parts of the drop of `own`: scale, hiding, forgetting."""
    counts: int
    """Seeds whose run counts as IBSD (`analysis/decomposition.py`)."""
    why: dict[int, str]
    """{seed: sentence}"""


@dataclass(frozen=True)
class Results:
    """All that tables, pages and plots show."""

    design: Design
    mean_scores: tuple[MeanScore, ...]
    differences: tuple[Difference, ...]
    costs: tuple[Cost, ...]
    histories: tuple[History, ...]
    refused: tuple[str, ...]
    missing: tuple[str, ...]
    machines: dict[str, int]
    """{machine: runs}"""
    mixed_numerics: tuple[str, ...]
    """Concepts of `NUMERICS` of which the runs used more than one version."""
    contrasts: tuple[Difference, ...] = ()
    """Differences of any two arms: primary metric, averaged weights, on every whole test set."""
    runs: dict[str, str] = field(default_factory=dict)
    """{setting/arm/seed: key}"""
    probes: tuple[ProbeLine, ...] = ()
    decompositions: tuple[DecompositionLine, ...] = ()
    harms: tuple[Harm, ...] = ()

    def to_json(self) -> str:
        """Text of `results.json`; infinities become text."""
        return json_text(finite(asdict(self)))


def results_from_table(table: Mapping[str, Any]) -> Results:
    """The results from the content of their `to_json`. Fields that came later have their defaults.

    Errors: KeyError, TypeError or ValueError if the table holds no results.
    """
    return _as(Results, table)


def _as(kind: Any, value: Any) -> Any:
    """A JSON value as what the annotation says; infinities were text."""
    origin = get_origin(kind)
    arguments = get_args(kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        names = [item.name for item in fields(kind) if item.name in value]
        made = {name: _as(hints[name], value[name]) for name in names}
        return cast(Any, kind)(**made)
    if NoneType in arguments:
        [other] = [argument for argument in arguments if argument is not NoneType]
        return None if value is None else _as(other, value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_as(one, item) for one, item in zip(kinds, value, strict=True))
    if origin is dict:
        return {arguments[0](key): _as(arguments[1], item) for key, item in value.items()}
    if isinstance(kind, type) and issubclass(kind, tuple):
        return kind(*value)
    if kind in (int, str, bool) and not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return float(value) if kind is float else value
