"""docs/configuration.md is what the dataclasses say now."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    script = runpy.run_path(str(ROOT / "benchmarks" / "configuration_page.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), (
        "run python benchmarks/configuration_page.py"
    )
