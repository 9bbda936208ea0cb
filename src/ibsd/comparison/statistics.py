"""What paired differences say: an interval over seeds, an interval over images, and a claim only
where both agree (docs/method.md 8).

A difference is the arm's score minus the baseline's, on the same image, for the same seed: an array
[S, I] of S seeds and I images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ibsd.metrics.student_t import t_quantile

MIN_SEEDS = 3
"""Below this many seeds there is no interval, and so no claim."""
CONFIDENCE = 0.95
NUM_RESAMPLES = 10_000

Interval = tuple[float, float]


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference of one arm to the baseline with both intervals, and on how many images it is
    ahead."""

    mean: float
    seed_means: tuple[float, ...]
    t_interval: Interval | None
    """From the spread between seeds; None below three seeds."""
    bootstrap_interval: Interval | None
    """From the spread between images and seeds; None below three seeds."""
    wins: int
    """Images on which the mean over the seeds is better than the baseline's."""
    losses: int

    @property
    def smallest_detectable(self) -> float | None:
        """Half of the wider of both intervals; None below three seeds.

        With the spread that was observed, a mean of this size is where both intervals begin to
        exclude zero. A true difference of this size would be shown in about half of all such
        comparisons, a smaller one more seldom.
        """
        if self.t_interval is None or self.bootstrap_interval is None:
            return None
        intervals = (self.t_interval, self.bootstrap_interval)
        return max(high - low for low, high in intervals) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether both intervals do, on the same side."""
        intervals = (self.t_interval, self.bootstrap_interval)
        return all(i is not None and i[0] > 0 for i in intervals) or all(
            i is not None and i[1] < 0 for i in intervals
        )


def paired_difference(
    differences: np.ndarray,
    weights: np.ndarray | None = None,
    lower_is_better: bool = False,
    parts: tuple[int, ...] = (),
) -> PairedDifference:
    """Statistics of the differences [S, I]; `weights` [I] for protocols that weigh images (patches
    of `realsr-testm`), `parts` as for `bootstrap_interval`.

    Check by hand: differences [[1, 3], [2, 2], [0, 4]] have mean 2, seed means (2, 2, 2), and a t
    interval of (2, 2).
    """
    num_images = differences.shape[1]
    weights = np.ones(num_images) if weights is None else weights.astype(float)
    seed_means = differences @ weights / weights.sum()
    enough = len(seed_means) >= MIN_SEEDS
    ahead = differences.mean(axis=0) * (-1 if lower_is_better else 1)
    return PairedDifference(
        mean=float(seed_means.mean()),
        seed_means=tuple(float(value) for value in seed_means),
        t_interval=t_interval(seed_means) if enough else None,
        bootstrap_interval=(
            bootstrap_interval(differences, weights, parts=parts) if enough else None
        ),
        wins=int((ahead > 0).sum()),
        losses=int((ahead < 0).sum()),
    )


def t_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Student's interval for the mean of at least two independent values, n - 1 degrees of
    freedom."""
    half = (
        t_quantile(0.5 + confidence / 2, len(values) - 1)
        * float(values.std(ddof=1))
        / math.sqrt(len(values))
    )
    return float(values.mean()) - half, float(values.mean()) + half


def bootstrap_interval(
    differences: np.ndarray,
    weights: np.ndarray,
    confidence: float = CONFIDENCE,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    parts: tuple[int, ...] = (),
) -> Interval:
    """Percentile interval of the weighted mean of [S, I] when seeds and images are both drawn again
    with replacement.

    Every resample draws seeds, and one set of images that all its seeds share. Images drawn anew
    for each seed would count one hard image S times as if it were S images: docs/method.md 8
    forbids that, because the interval would be too short by up to sqrt(S). The same resamples
    serve every arm, so that their intervals can be compared. `parts` are the numbers of images of
    parts that lie behind each other; every part keeps its number in every resample.
    """
    num_seeds, num_images = differences.shape
    seeds, counts = _resamples(num_seeds, parts or (num_images,), num_resamples, seed)
    images = counts * weights
    means = ((seeds @ differences) * images).sum(axis=1) / (num_seeds * images.sum(axis=1))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@lru_cache(maxsize=8)
def _resamples(
    num_seeds: int, parts: tuple[int, ...], num_resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """How often each resample draws each seed [R, S] and each image [R, I]."""
    generator = np.random.default_rng(seed)
    seeds = generator.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), num_resamples)
    images = [generator.multinomial(size, np.full(size, 1 / size), num_resamples) for size in parts]
    return seeds, np.hstack(images)


def noise_floor(seed_means: np.ndarray, num_seeds: int, confidence: float = CONFIDENCE) -> float:
    """The size below which chance alone keeps the mean over `num_seeds`, in `confidence` of all
    cases. `seed_means` are the differences of an A/A pair.

    Their true mean is zero, so the spread is their root mean square, with as many degrees of
    freedom as there are differences.
    """
    return t_quantile(0.5 + confidence / 2, len(seed_means)) * math.sqrt(
        float(np.square(seed_means).mean()) / num_seeds
    )
