"""What makes two runs the same run: an equal config, equal data and equal code, as far as they can
move a figure.

A run has two parts. Training depends on config, training pairs and the code of student, objective
and trainer; `training_key` names it, and the folder with its checkpoints. Scoring adds the test
pairs and the code of the metrics; `key` names both, and the JSON. So a test set that is added later
costs no training where the checkpoints are still there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

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
    code: dict[str, dict[str, str]]
    """{"training": {module: hash}, "scoring": {module: hash}}, from `code_fingerprint`."""
    data: dict[str, Any] | None
    """{"train": fingerprint, "tests": {name: fingerprint}}, of names and pixels; None where the
    pictures are not looked at."""

    @property
    def name(self) -> str:
        return f"{self.setting}/{self.arm}/{self.seed}"

    @property
    def training_key(self) -> str:
        assert self.data is not None, f"{self.name}: a key needs the fingerprint of the data"
        return _digest([self.config["training"], self.data["train"], self.code["training"]])

    @property
    def key(self) -> str:
        assert self.data is not None, f"{self.name}: a key needs the fingerprint of the data"
        return _digest([self.config, self.data, self.code])


def departures(
    now: Identity, then: Identity, defaults: Mapping[str, Any], accept_code: Collection[str] = ()
) -> list[str]:
    """In what a run made earlier differs from the one wanted now; nothing if it may stand for it.

    Args:
        defaults: {dotted key of the config: value} that an option had before it existed: what is
            absent in `then` counts as its default.
        accept_code: modules declared to give the same figures, as "module@hash" of the earlier
            code.

    Returns: dotted config keys with both values, "data", and "module@hash" for each module whose
    code is another.
    """
    found = []
    before, after = joined(then.config), joined(now.config)
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, defaults.get(key, _MISSING)), after.get(key, _MISSING)
        if old != new:
            found.append(f"{key} {old!r} -> {new!r}")
    if now.data is not None and now.data != then.data:
        found.append("data")
    return found + [
        change for change in code_changes(now.code, then.code) if change not in accept_code
    ]


def code_changes(
    now: Mapping[str, Mapping[str, str]], then: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """ "module@hash" of the earlier code for each module that has changed, come ("@none") or
    gone."""
    before, after = joined(then), joined(now)
    changed = sorted(
        module for module in after.keys() | before.keys() if after.get(module) != before.get(module)
    )
    return [f"{module}@{before.get(module, 'none')}" for module in changed]


def joined(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Training's and scoring's entries in one table."""
    return {key: value for part in parts.values() for key, value in part.items()}


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
