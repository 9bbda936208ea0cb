"""What makes two runs the same run: an equal config, equal data and equal `NUMERICS`.

A run has two parts. `training_key` names the training and the folder with its checkpoints: it
depends on the training config, the training pairs and the numbers of `TRAINING_NUMERICS`. `key`
names training and scoring: it adds the test pairs and the number of the metrics. So a test set that
is added later costs no training where the checkpoints are still there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ibsd.types import NUMERICS

TRAINING_NUMERICS = ("students", "information", "distillation", "data", "training")
NUMERICS_PREFIX = "numerics."
_MISSING = "(nothing)"


@dataclass(frozen=True)
class Identity:
    """One run of a comparison, before or after it is made. All values are plain JSON."""

    setting: str
    arm: str
    seed: int
    config: dict[str, dict[str, Any]]
    """{"training": {dotted key: value}, "scoring": ...}: every option that can move a figure,
    defaults included, no paths."""
    data: dict[str, Any] | None
    """{"train": fingerprint, "tests": {name: fingerprint}}, of names and pixels; None where no
    image was read."""
    numerics: dict[str, int] = field(default_factory=lambda: dict(NUMERICS))
    """`NUMERICS` of the code that makes or made the run."""

    @property
    def name(self) -> str:
        return f"{self.setting}/{self.arm}/{self.seed}"

    @property
    def training_key(self) -> str:
        assert self.data is not None, f"{self.name}: a key needs the fingerprint of the data"
        numerics = {concept: self.numerics[concept] for concept in TRAINING_NUMERICS}
        return _digest([self.config["training"], self.data["train"], numerics])

    @property
    def key(self) -> str:
        assert self.data is not None, f"{self.name}: a key needs the fingerprint of the data"
        return _digest([self.config, self.data, self.numerics])


@dataclass(frozen=True)
class RunRequest:
    """A run that is asked for."""

    identity: Identity
    defaults: dict[str, Any] = field(default_factory=dict)
    """{dotted key: value} of every option's default. A run made before an option existed counts as
    made with its default."""


def departures(request: RunRequest, earlier: Identity) -> list[str]:
    """How a run made earlier differs from the one that is asked for; empty if it may stand for it.

    Returns: dotted config keys and concepts of `NUMERICS` with both values, and "data".
    """
    wanted = request.identity
    changes: list[str] = []
    before = _all_options(earlier)
    after = _all_options(wanted)
    for key in sorted(before.keys() | after.keys()):
        old = before.get(key, request.defaults.get(key, _MISSING))
        new = after.get(key, _MISSING)
        if old != new:
            changes.append(f"{key} {old!r} -> {new!r}")
    if wanted.data is not None and wanted.data != earlier.data:
        changes.append("data")
    return changes + changed_numerics(earlier.numerics, wanted.numerics)


def changed_numerics(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """ "numerics.CONCEPT OLD -> NEW" for each concept whose arithmetic has changed."""
    concepts = sorted(before.keys() | now.keys())
    return [
        f"{NUMERICS_PREFIX}{concept} {before.get(concept)} -> {now.get(concept)}"
        for concept in concepts
        if before.get(concept) != now.get(concept)
    ]


def _all_options(identity: Identity) -> dict[str, Any]:
    """Training's and scoring's options in one table."""
    return {key: value for part in identity.config.values() for key, value in part.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
