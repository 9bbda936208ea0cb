"""A handful of the moments of `benchmarks/kills.py`: each place once or twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from processes import Command


@pytest.mark.slow
def test_killed_at_a_handful_of_moments(tmp_path: Path):
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    process = Command("--moments", 4, "--output", tmp_path / "kills.json", program=script)
    said = process.communicate()
    assert process.returncode == 0, said
    result = json.loads((tmp_path / "kills.json").read_text())
    assert result["lost"] == 0
    assert all(
        result["places"][place]["killed"] for place in result["places"] if place != "by the clock"
    )  # that one may come too late
