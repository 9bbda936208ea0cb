"""The quick ones of the cases of `benchmarks/resources.py`: see cases.py for the laws."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.cases import CASES, QUICK
from faults.place import CannotMountError, Place


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_fault_has_a_clear_end_and_nothing_is_lost(name: str, tmp_path: Path) -> None:
    try:
        CASES[name](Place(tmp_path / "place", forked=True))
    except CannotMountError as error:
        pytest.skip(f"no file system can be mounted: {error}")
