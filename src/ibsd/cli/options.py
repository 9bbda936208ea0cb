"""Types of options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="")]
"""An option without a value, off unless given."""
Output = Annotated[Path | None, Parameter(alias="-o")]
