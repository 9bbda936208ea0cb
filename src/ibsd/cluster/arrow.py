"""pyarrow, which has no types for a checker."""

from __future__ import annotations

from importlib import import_module
from typing import Any

pa: Any = import_module("pyarrow")
pc: Any = import_module("pyarrow.compute")
csv: Any = import_module("pyarrow.csv")
parquet: Any = import_module("pyarrow.parquet")
STRINGS: Any = pa.large_string()
"""The type of names. Millions of them need more than the 2 GB of an ordinary column."""
