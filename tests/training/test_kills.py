"""A handful of the moments of `benchmarks/kills.py`: each place once or twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_killed_at_a_handful_of_moments(tmp_path: Path):
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "--moments", "4"]
    command += ["--output", str(tmp_path / "kills.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "kills.json").read_text())
    assert result["lost"] == 0
    assert all(
        result["places"][place]["killed"] for place in result["places"] if place != "by the clock"
    )  # that one may come too late
