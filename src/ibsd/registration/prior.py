"""How much a mapping may bend: decided by the pictures.

A similarity is free. Tilt, lenses and field have a normal prior each, of mean 0 and of a spread
that is not known. A step is the mean over a table of spreads, each weighted by its evidence (the
marginal likelihood of MacKay, Neural Computation 1992). So a small picture, which tells
nothing of its lens, is not bent by noise, and a large one bends as far as it shows.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from ibsd.registration.mapping import FIELD_POWERS, NUM_FIELD, NUM_RIGID, Array

TILTS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Spreads of what a homography is more than a similarity, between normalised points."""
LENSES = (1e-3, 1e-2, 1e-1, 1.0)
"""Factors of 0.05, 0.02 and 0.03, for k1 and k2 of LR's lens and k1 of HR's."""
FIELDS = (1e-2, 1e-1, 0.3, 1.0)
"""Factors of 0.05 LR pixels over the degree, for each coefficient."""


class Step(NamedTuple):
    """Change of n parameters."""

    change: Array
    covariance: Array
    """[n, n]"""


def averaged_step(normal: Array, pull: Array, parameters: Array, alike: float = 1.0) -> Step:
    """The mean over all spreads.

    Args:
        normal: [n, n] of the pictures' least squares, without prior.
        pull: [n]: `normal @ change`, were there no prior.
        parameters: [n] as they are; `NUM_RIGID`, or all.
        alike: by which the evidence is divided: measurements that err alike say less.
    """
    priors, sizes = _priors(len(parameters))
    # Changes of about 1 are nonsense: where nothing is seen, nothing moves.
    ridge = (1.0 + 1e-12 * float(normal.max())) * np.eye(len(parameters))
    inverse = np.linalg.inv(normal + priors + ridge)
    wanted = pull - priors @ parameters
    changes = (inverse @ wanted[..., None])[..., 0]
    evidence = (wanted * changes).sum(1) - parameters @ priors @ parameters
    evidence += np.linalg.slogdet(inverse)[1] + sizes
    weights = np.exp((evidence - evidence.max()) / (2 * alike))
    weights /= weights.sum()
    change = weights @ changes
    off = changes - change
    covariance = np.einsum("k,kij->ij", weights, inverse) + (off.T * weights) @ off
    return Step(change, covariance)


@cache
def _priors(num: int) -> tuple[Array, Array]:
    """[k, num, num] inverse covariances for k choices of spreads, and their log determinants."""
    tilt = np.zeros((4, num))
    tilt[0, [0, 4]] = tilt[1, [1, 3]] = tilt[2, 6] = tilt[3, 7] = 1
    tilt[0, 4] = -1
    lens = np.array([0.05, 0.02, 0.03])
    field = np.array([0.05 / (i + j) for i, j in FIELD_POWERS] * 2)
    with_field = num == NUM_RIGID + NUM_FIELD
    priors: list[Array] = []
    sizes: list[float] = []
    for of_tilt, of_lens, of_field in product(TILTS, LENSES, FIELDS if with_field else (1.0,)):
        prior = tilt.T @ tilt / of_tilt**2
        bends = np.concatenate([of_lens * lens, of_field * field if with_field else []]) ** -2.0
        prior[range(8, num), range(8, num)] = bends
        priors.append(prior)
        sizes.append(float(np.log(bends).sum() - 2 * len(tilt) * np.log(of_tilt)))
    return np.stack(priors), np.array(sizes)
