"""Scenes are divided by name, for good."""

from __future__ import annotations

from ibsd.registration.splits import assign_splits

NAMES = [f"scene{number}" for number in range(20)]


def test_shares() -> None:
    splits = list(assign_splits(NAMES, 0.1, 0.2, {}).values())
    assert [splits.count(split) for split in ("train", "val", "test")] == [14, 2, 4]
    assert set(assign_splits(NAMES, 0, 0, {}).values()) == {"train"}
    assert sorted(assign_splits(NAMES[:3], 0.1, 0.1, {}).values()) == ["test", "train", "val"]
    assert set(assign_splits(NAMES[:2], 0.1, 0.1, {}).values()) == {"train"}


def test_new_scenes_move_no_old_one() -> None:
    known = assign_splits(NAMES[:10], 0.1, 0.1, {})
    later = assign_splits(NAMES, 0.1, 0.1, known)
    assert {name: later[name] for name in known} == known
    assert list(later.values()).count("test") == 2
