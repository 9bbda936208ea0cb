"""The information plane: where each link of the chain stood, and where training took it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ibsd.reporting.curves import Series


def information_plane(rows: Sequence[Mapping[str, Any]]) -> list[Series]:
    """One path per link, in order of steps: (log-likelihood, bound), both in nats per element, for
    `curves.chart`.

    A healthy penalty lowers the bound and takes little of the likelihood; a path that falls to the
    left lost both, and estimators that lag or a student that hides look alike there: fresh
    estimators tell them apart (`ibsd.analysis.information_probe`).

    Args:
        rows: lines of a run's log; those without `bound/linkK` and `nll/linkK` are passed over, so
            are figures that were not finite (None).

    Example: [{"step": 500, "bound/link1": 4.0, "nll/link1": -2.0}] -> [Series("link 1", ((2.0,
    4.0),))].
    """
    links = sorted(
        {
            int(found[1])
            for row in rows
            for name in row
            if (found := re.fullmatch(r"bound/link(\d+)", name))
        }
    )
    paths = []
    for link in links:
        pairs = [(row.get(f"nll/link{link}"), row.get(f"bound/link{link}")) for row in rows]
        points = tuple(
            (-nll, bound) for nll, bound in pairs if nll is not None and bound is not None
        )
        paths.append(Series(f"link {link}", points))
    return [path for path in paths if path.points]
