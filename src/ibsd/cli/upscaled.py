"""What `ibsd upscale` says about its files, on one machine and on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibsd.cli.terminal import log, print_json, print_line, printable

if TYPE_CHECKING:
    from ibsd.cluster.worker import Result
    from ibsd.upscaling import FileResult


def say_file(result: FileResult | Result, json: bool) -> None:
    """A line about a file that was written, and a note about what it could not keep."""
    if result.error is None and not result.skipped and not json:
        log(f"{result.source} -> {result.target}")
    if result.note:
        log(result.note)


def say_all(
    shown: dict[str, Any], passed_over: Sequence[Path | str], summary: str, failed: bool, json: bool
) -> int:
    """The end of a run: `shown` as JSON, or sentences. Returns the exit code."""
    if json:
        print_json(shown)
    else:
        for path in passed_over:
            log(f"passed over, not named as an image: {path}")
    if failed:
        print(printable(f"ibsd: {summary}"), file=sys.stderr)
        return 2
    if not json:
        print_line(summary)
    return 0
