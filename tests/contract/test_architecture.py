"""The routes of docs/architecture.md name files and definitions that exist, each file once, and its
table of folders is the package's."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ibsd"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STEP = re.compile(r"^\| \d+ \| `([^`]+)` \| (.+?) \| .+ \|$", re.MULTILINE)
ROUTES = {
    title: STEP.findall(text)
    for title, text in re.findall(r"^## (Route \d)(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}


def definitions(file: Path) -> set[str]:
    """Names of the functions, classes and methods of a file; methods as `Class.method`."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{child.name}"
                for child in node.body
                if isinstance(child, ast.FunctionDef)
            }
    return names


def test_there_are_two_routes_that_open_each_file_once() -> None:
    assert [len(steps) > 10 for steps in ROUTES.values()] == [True, True]
    for title, steps in ROUTES.items():
        files = [file for file, _ in steps]
        assert len(set(files)) == len(files), title


@pytest.mark.parametrize("title", ROUTES)
def test_a_route_names_what_exists(title: str) -> None:
    for file, names in ROUTES[title]:
        assert (PACKAGE / file).is_file(), f"{title}: {file}"
        missing = set(re.findall(r"`([^`]+)`", names)) - definitions(PACKAGE / file)
        assert not missing, f"{title}: {file} does not define {', '.join(sorted(missing))}"


def test_the_table_of_folders_is_whole() -> None:
    table = PAGE.split("## The tree")[1].split("## The import rule")[0]
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    inside = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert named == inside - {"__init__", "__main__"}
