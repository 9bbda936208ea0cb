"""A thousand of the cases of `benchmarks/fuzz.py`, in a process of their own: see cases.py for the
laws."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_thousand_bad_inputs(tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--cases", "1000", "--output", str(tmp_path / "fuzz.json")],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "fuzz.json").read_text())
    assert sum(kind["cases"] for kind in result["kinds"].values()) == 1000
    assert all(kind["refused"] > 0 for kind in result["kinds"].values())  # the mutations do bite
    assert result["broken"] == []
