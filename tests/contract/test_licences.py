"""Every dependency is listed with a licence that goes with MIT, and what is shipped names its
own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINE = re.compile(r"MIT|BSD|Apache|MPL-2.0|LGPL|0BSD")


def test_every_dependency_is_listed_with_a_fitting_licence():
    rows = dict(
        re.findall(
            r"^\| ([\w-]+) \| ([^|]+) \|",
            (ROOT / "docs" / "licences.md").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entries = [
        *project["dependencies"],
        *(entry for extra in project["optional-dependencies"].values() for entry in extra),
    ]
    for name in (re.split(r"[\[><=;! ]", entry)[0] for entry in entries):
        assert FINE.search(rows.get(name, "")), (
            f"{name}: {rows.get(name)}; run benchmarks/licences.py"
        )
        assert not re.search(r"(?<!L)GPL", rows[name]), name


def test_what_is_shipped_names_its_licence():
    credits = (ROOT / "src/ibsd/data/photographs/CREDITS.md").read_text(encoding="utf-8")
    assert all(path.stem in credits for path in (ROOT / "src/ibsd/data/photographs").glob("*.jpg"))
    assert (ROOT / "src/ibsd/metrics/weights/NOTICE.md").is_file() and (ROOT / "LICENSE").is_file()
