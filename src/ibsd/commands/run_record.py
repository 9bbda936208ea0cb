"""`run.json`: what a run records of itself, and how a resumed run is compared with it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

import ibsd
from ibsd.comparison.identity import changed_numerics
from ibsd.config.run import Config, as_table
from ibsd.inference.device import choose_device
from ibsd.information import bound_form
from ibsd.training.execution import CHECKPOINTS, LOG, MESSAGES
from ibsd.training.result import BEST_FILE, WEIGHT_FILES
from ibsd.types import InputError

RUN_FILE = "run.json"
FILES = (LOG, MESSAGES, BEST_FILE, *WEIGHT_FILES.values())
"""Files of a run besides its record."""
FIXED = ("student.", "objective.", "data.batch_size", "data.patch_px", "run.seed")
"""Settings that a resumed run must keep."""


def refuse_or_compare(
    config: Config, folder: Path, resume: bool, log: Callable[[str], None]
) -> dict[str, Any] | None:
    """The record of the run to resume; None for a new run. InputError if a new run's folder holds
    one, and for a resume with another network, objective, batch or seed."""
    path = folder / RUN_FILE
    for place in (folder / name for name in (RUN_FILE, *FILES)):
        if place.exists() and not place.is_file():
            raise InputError(f"{place} is no file, and the run needs one there: move it away")
    if not path.exists():
        there = [name for name in (CHECKPOINTS, *FILES) if os.path.lexists(folder / name)]
        if there:
            raise InputError(
                f"{folder} holds {there[0]} and no {RUN_FILE}, so it is not known of which run: "
                "restore it, or set another run.folder"
            )
        return None
    if not resume:
        raise InputError(f"{folder}: holds a run already; add --resume, or set another run.folder")
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before = flat(record["config"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} is damaged: remove the run, or set another run.folder") from None
    now = flat(as_table(config))
    # Options that came later had their default.
    defaults = {key: value for key, value in flat(as_table(Config())).items() if key in now}
    before = defaults | before
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if fixed := [key for key in changed if key.startswith(FIXED)]:
        raise InputError(
            f"{folder}: cannot resume with another {fixed[0]} ({before.get(fixed[0])!r} before, "
            f"{now.get(fixed[0])!r} now); restore it, or set another run.folder"
        )
    if changed:
        changes = (f"{key} {before.get(key)!r} -> {now.get(key)!r}" for key in changed)
        log(f"resuming with changed settings: {', '.join(changes)}")
    return record


def sessions_before(
    going_on: Mapping[str, Any], now: Mapping[str, Any], log: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Data, versions and processes of the run's earlier sessions that differ from `now`. `log` gets
    a sentence on each difference."""
    keys = ("data", "versions", "numerics", "processes")
    earlier = {key: going_on[key] for key in keys if key in going_on}
    if earlier.get("data") != now["data"]:
        log("the training or validation pairs have changed since this run was started")
    if changed := changed_numerics(earlier.get("numerics", now["numerics"]), now["numerics"]):
        log(f"the arithmetic has changed since this run was started: {', '.join(changed)}")
    before = earlier.get("versions", {})
    present = now["versions"]
    names = ("torch", "python", "machine", "bound")
    if changed := [key for key in names if before.get(key) != present.get(key)]:
        differences = ", ".join(
            f"{key} {before.get(key)}, now {present.get(key)}" for key in changed
        )
        log(f"this run was started with {differences}: results are equal within rounding")
    sessions = list(going_on.get("before", []))
    same = earlier == {key: now[key] for key in keys if key in earlier}
    return sessions if same else [*sessions, earlier]


def versions() -> dict[str, str]:
    """Versions and machine, on which a result depends besides its config."""
    made_with = {
        "ibsd": ibsd.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    made_with["bound"] = bound_form(choose_device("auto"))
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
        made_with["commit"] = done.stdout.strip()
    return made_with


def without_paths(table: dict[str, Any]) -> dict[str, Any]:
    """A config's table for weight files, which travel: paths shortened to their last part."""
    paths = {
        "data": ("pairs", "photographs", "lr", "hr", "val_lr", "val_hr", "drop", "cache"),
        "run": ("folder",),
        "student": ("weights",),
    }
    return {
        section: {
            key: Path(value).name if key in paths.get(section, ()) else value
            for key, value in values.items()
        }
        for section, values in table.items()
    }


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables with dotted keys."""
    flattened: dict[str, Any] = {}
    for key, value in table.items():
        nested = isinstance(value, dict)
        flattened |= flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flattened
