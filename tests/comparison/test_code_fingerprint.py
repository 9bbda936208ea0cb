"""What counts as other code: anything that can move a figure, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.comparison.code_fingerprint import code_fingerprint

BEFORE = '''
"""A module."""
from pack.lower import base

def double(x: int) -> int:
    """Twice x."""
    if x < 0:
        raise ValueError("x is negative")
    return 2 * x  # quickly
'''


def fingerprint(folder: Path, source: str) -> dict[str, str]:
    package = folder / f"{len(list(folder.iterdir()))}" / "pack"
    (package / "lower").mkdir(parents=True)
    (package / "__init__.py").write_text("from pack.top import double\n")
    (package / "lower" / "__init__.py").write_text(
        '"""Lower."""\nfrom pack.lower.base import one\n'
    )
    (package / "lower" / "base.py").write_text("one = 1\n")
    (package / "other.py").write_text("two = 2\n")
    (package / "top.py").write_text(source)
    return code_fingerprint(package, ["pack.top"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# quickly", "# slowly, and said so"),
        ('"""Twice x."""', '"""Two times x."""\n    "and more"'),
        ("x: int) -> int", "x: float) -> float"),
        ("x is negative", "x must not be negative"),
        ("2 * x", "(2\n            * x)"),
    ],
)
def test_wording_and_layout_do_not_count(tmp_path: Path, old: str, new: str) -> None:
    assert old in BEFORE
    assert fingerprint(tmp_path, BEFORE.replace(old, new)) == fingerprint(tmp_path, BEFORE)


@pytest.mark.parametrize(
    ("old", "new"), [("2 * x", "3 * x"), ("x < 0", "x <= 0"), ("def double", "@cache\ndef double")]
)
def test_what_is_computed_counts(tmp_path: Path, old: str, new: str) -> None:
    before, after = fingerprint(tmp_path, BEFORE), fingerprint(tmp_path, BEFORE.replace(old, new))
    assert before.keys() == after.keys() == {"pack.top", "pack.lower.base"}
    assert before["pack.top"] != after["pack.top"]
    assert before["pack.lower.base"] == after["pack.lower.base"]


def test_an_import_brings_its_module_and_an_import_of_something_else_does_not(
    tmp_path: Path,
) -> None:
    assert "pack.other" in fingerprint(tmp_path, BEFORE + "\ndef late():\n    import pack.other\n")
    assert fingerprint(tmp_path, BEFORE + "\nimport json\n").keys() == {
        "pack.top",
        "pack.lower.base",
    }


def test_a_module_left_out_is_not_followed(tmp_path: Path) -> None:
    fingerprint(tmp_path, BEFORE)
    package = tmp_path / "0" / "pack"
    assert code_fingerprint(package, ["pack.top"], ["pack.lower", "pack.lower.base"]).keys() == {
        "pack.top"
    }


def test_the_hash_is_pinned_for_all_versions_of_python(tmp_path: Path) -> None:
    """A run made under another Python must be found: this value is the same from 3.11 on."""
    assert (
        fingerprint(
            tmp_path,
            BEFORE + '\ndef f[0](a, /, *b):\n    return f"{a!r:>{3}} {b[1:]}"\n'.replace("[0]", ""),
        )["pack.top"]
        == "3218f7c45a67"
    )
