"""Some cases of `benchmarks/fuzz.py`, in a process of their own: see cases.py and surroundings.py
for the laws.

The whole campaign runs by hand, `python benchmarks/fuzz.py --cases 10000`: docs/reliability.md has
its figures.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from processes import Command

ROOT = Path(__file__).parents[2]
CASES = 21
"""Seven of each kind."""


@pytest.mark.slow
def test_bad_input_is_refused_in_a_sentence(tmp_path: Path) -> None:
    process = Command(
        "--cases",
        CASES,
        "--output",
        tmp_path / "fuzz.json",
        program=ROOT / "benchmarks" / "fuzz.py",
    )
    said = process.communicate(600)
    assert process.returncode == 0, said
    result = json.loads((tmp_path / "fuzz.json").read_text())
    assert sum(kind["cases"] for kind in result["kinds"].values()) == CASES
    assert all(kind["refused"] > 0 for kind in result["kinds"].values())  # the mutations do bite
    assert result["broken"] == []


@pytest.mark.slow
def test_names_metadata_streams_caches_and_damaged_runs(tmp_path: Path) -> None:
    """One of each kind."""
    pytest.importorskip("onnxruntime")
    options = ("--surroundings", "--no-models", "--cases", 5)
    output = ("--output", tmp_path / "fuzz.json")
    process = Command(*options, *output, program=ROOT / "benchmarks" / "fuzz.py")
    said = process.communicate(600)
    assert process.returncode == 0, said
    result = json.loads((tmp_path / "fuzz.json").read_text())
    assert [kind["cases"] for kind in result["kinds"].values()] == [1] * 5
