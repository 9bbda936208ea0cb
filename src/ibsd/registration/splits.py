"""Scenes divided into train, val and test: all crops of a scene in one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

Split = Literal["train", "val", "test"]


def assign_splits(
    names: Sequence[str], val: float, test: float, known: Mapping[str, Split]
) -> dict[str, Split]:
    """{scene: split}: a share `val` and a share `test` of the scenes, drawn by their names.

    Scenes in `known` stay where they are. From three scenes on val and test hold at least one each,
    if their share is not 0.
    """
    wanted = {split: _count(len(names), share) for split, share in (("test", test), ("val", val))}
    splits: dict[str, Split] = {name: known[name] for name in names if name in known}
    drawn = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    for name in drawn:
        if name in splits:
            continue
        counts = list(splits.values())
        splits[name] = "train"
        for split in ("test", "val"):
            if counts.count(split) < wanted[split]:
                splits[name] = split
                break
    return {name: splits[name] for name in names}


def _count(total: int, share: float) -> int:
    return max(1, round(total * share)) if share and total >= 3 else 0
