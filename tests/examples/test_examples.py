"""Every example runs."""

import runpy
from pathlib import Path

import pytest

from ibsd.data.samples import SPLITS

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.argv", [str(path)])
    for split, names in list(SPLITS.items()):
        monkeypatch.setitem(SPLITS, split, names[:2])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
