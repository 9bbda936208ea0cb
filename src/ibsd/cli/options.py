"""Types of options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ibsd.types import InputError

Flag = Annotated[bool, Parameter(negative="")]
"""An option without a value, off unless given."""
Output = Annotated[Path | None, Parameter(alias="-o")]


def require_folders(command: str, pairs: Path | None, lr: Path | None, hr: Path | None) -> None:
    """InputError unless a folder of pairs is named, or both of --lr and --hr."""
    if (pairs is None) == (lr is None) or (lr is None) != (hr is None):
        raise InputError(
            "name the folder of pairs, or two folders with --lr and --hr, "
            f"as ibsd {command} --help shows"
        )
