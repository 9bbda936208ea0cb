"""Some cases of `benchmarks/fuzz.py`, in a process of their own: see cases.py for the laws.

The whole campaign runs by hand, `python benchmarks/fuzz.py --cases 10000`: docs/reliability.md has
its figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = 60
"""Ten of each kind."""


@pytest.mark.slow
def test_bad_input_is_refused_in_a_sentence(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py")]
    command += ["--cases", str(CASES), "--output", str(tmp_path / "fuzz.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "fuzz.json").read_text())
    assert sum(kind["cases"] for kind in result["kinds"].values()) == CASES
    assert all(kind["refused"] > 0 for kind in result["kinds"].values())  # the mutations do bite
    assert result["broken"] == []
