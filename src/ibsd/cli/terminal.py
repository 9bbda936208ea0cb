"""Consoles: results on stdout, for people or with --json as one JSON value; everything on the way
there on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ibsd.types import InputError

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 200
"""Columns where no terminal says how many: enough that no table is cut."""


def output_console() -> Console:
    """For results, on stdout."""
    return _console(stderr=False)


def status_console() -> Console:
    """For progress and remarks, on stderr."""
    return _console(stderr=True)


def print_json(value: Any) -> None:
    """On stdout. Paths become text; figures that are not finite become null."""
    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = cast(dict[Any, Any], value)
        return {str(key): _plain(item) for key, item in pairs.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Iterable[Any], value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _console(stderr: bool) -> Console:
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=not terminal,
        width=None if terminal else PIPED_WIDTH,
    )


def refuse_existing(paths: Iterable[Path], force: bool) -> None:
    """InputError if a file that is to be written exists, unless `force`."""
    for path in paths:
        if os.path.isdir(path):
            raise InputError(
                f"{path} is a folder where a file is to be written: choose another output"
            )
        if os.path.lexists(path) and not force:
            raise InputError(
                f"{path} exists already: choose another output, or --force to replace it"
            )
