"""What a run writes down about itself, and how one that goes on is held against it."""

from __future__ import annotations

import json
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
from ibsd.system import write_whole
from ibsd.types import InputError

RUN_FILE = "run.json"


def refuse_or_compare(
    config: Config, folder: Path, resume: bool, log: Callable[[str], None]
) -> dict[str, Any] | None:
    """What `run.json` says of the run to go on with; None for a new run. Refuses to overwrite a
    run, or to go on with another one."""
    path = folder / RUN_FILE
    if not path.exists():
        return None
    if not resume:
        raise InputError(
            f"{folder}: holds a run already; add --resume to go on with it, "
            "or set run.folder to another folder"
        )
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before = flat(record["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: is damaged; remove this run or set run.folder to another folder"
        ) from None
    now = flat(as_table(config))
    before = {
        key: value for key, value in flat(as_table(Config())).items() if key in now
    } | before  # options that came later had their default
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if fixed := [
        key
        for key in changed
        if key.startswith(
            ("student.", "objective.", "data.batch_size", "data.patch_px", "run.seed")
        )
    ]:
        raise InputError(
            f"{folder}: cannot go on with another {fixed[0]} ({before.get(fixed[0])!r} before, "
            f"{now.get(fixed[0])!r} now); restore it or start in another run.folder"
        )
    if changed:
        log(
            "resuming with changed settings: "
            + ", ".join(f"{key} {before.get(key)!r} -> {now.get(key)!r}" for key in changed)
        )
    return record


def sessions_before(
    going_on: Mapping[str, Any], now: Mapping[str, Any], log: Callable[[str], None]
) -> list[dict[str, Any]]:
    """With what the run was made so far, where that was something else; `log` hears what has
    changed and what follows."""
    keys = ("data", "versions", "numerics", "processes")
    earlier = {key: going_on[key] for key in keys if key in going_on}
    if earlier.get("data") != now["data"]:
        log(
            "the training or validation pairs have changed since this run was started: "
            "it goes on, but no longer on one data set"
        )
    if changed := changed_numerics(earlier.get("numerics", now["numerics"]), now["numerics"]):
        log(
            f"the arithmetic has changed since this run was started ({', '.join(changed)}): "
            "it goes on, but may no longer end where one version would have"
        )
    before = earlier.get("versions", {})
    if changed := [
        key
        for key in ("torch", "python", "machine", "bound")
        if before.get(key) != now["versions"].get(key)
    ]:
        differences = ", ".join(
            f"{key} {before.get(key)}, now {now['versions'].get(key)}" for key in changed
        )
        log(
            f"this run was started with {differences}: it goes on, equal within rounding and not "
            "bit for bit"
        )
    sessions = list(going_on.get("before", []))
    return (
        sessions
        if earlier == {key: now[key] for key in keys if key in earlier}
        else [*sessions, earlier]
    )


def versions() -> dict[str, str]:
    """What a result depends on besides its config."""
    made_with = {
        "ibsd": ibsd.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    made_with["bound"] = bound_form(choose_device("auto"))
    with suppress(OSError, subprocess.CalledProcessError):
        command = [
            "git",
            "-C",
            str(Path(__file__).parent),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
        ]
        made_with["commit"] = subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()
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


def write_json(path: Path, content: Any) -> None:
    write_whole(path, json.dumps(content, indent=1) + "\n")


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables with dotted keys."""
    flattened = {}
    for key, value in table.items():
        flattened |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flattened
