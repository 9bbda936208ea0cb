"""docs/reliability.md is what its results say, and every test that it names is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date_and_names_tests_that_exist():
    assert (
        subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / "reliability.py"), "--check"]
        ).returncode
        == 0
    )
    named = re.findall(
        r"`(tests/[\w/]+\.py)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    )
    assert named and all((ROOT / name).is_file() for name in named)
