"""What `pip install` brings: no torch unless it is asked for, and versions that were tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def named(entries: list[str]) -> set[str]:
    return {Requirement(entry).name for entry in entries}


def test_torch_comes_with_its_extras_alone() -> None:
    assert [extra for extra, entries in EXTRAS.items() if "torch" in named(entries)] == [
        "train",
        "export",
        "dev",
    ]
    assert "torch" not in named(PROJECT["dependencies"])


def test_constraints_pin_a_version_that_each_requirement_takes() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}
    for entry in [*PROJECT["dependencies"], *(entry for some in EXTRAS.values() for entry in some)]:
        requirement = Requirement(entry)
        if requirement.name != "triton":  # torch names its version
            assert requirement.specifier.contains(pins[requirement.name.lower()]), entry
