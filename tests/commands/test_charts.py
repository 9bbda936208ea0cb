"""Charts are written once, of a stated size, and hold a user's own photographs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.commands.charts import chart_px, write_charts
from ibsd.data.samples import sample
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.registration.coarse import coarse_match
from ibsd.types import InputError


def own(folder: Path) -> Path:
    """A folder of two photographs."""
    folder.mkdir()
    for name in ("stream", "dogs"):
        write_rgb(folder / f"{name}.png", sample(name))
    return folder


@pytest.mark.slow
def test_charts_for_a_screen(tmp_path: Path) -> None:
    files = write_charts(tmp_path / "charts", "screen", "640x480", own(tmp_path / "own"))
    assert [file.name for file in files] == ["chart-00.png", "chart-01.png"]
    charts = [read_rgb(file) for file in files]
    assert charts[0].shape == (480, 640, 3)
    assert coarse_match(charts[0], charts[1]).charts == (0, 1)
    written = files[0].stat().st_mtime_ns
    with pytest.raises(InputError, match="exists already and stays as it is"):
        write_charts(tmp_path / "charts", "screen", "640x480")
    assert files[0].stat().st_mtime_ns == written


@pytest.mark.slow
def test_paper_has_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ibsd.commands.charts.DPI", 72)
    [file] = write_charts(tmp_path / "charts", "print", photographs=own(tmp_path / "own"))
    content = file.read_bytes()
    assert content.startswith(b"%PDF") and content.count(b"/MediaBox") == 2
    # A4 is 842 x 595 points of 1/72 inch.
    assert b"/MediaBox [ 0 0 842 595 ]" in content or b"[ 0 0 842.0 595.0 ]" in content


def test_sizes() -> None:
    assert chart_px("screen", None) == (1920, 1080)
    assert chart_px("print", "a4") == (3508, 2480)
    for kind, size in (("screen", "a4"), ("print", "1920x1080"), ("screen", "big")):
        with pytest.raises(InputError, match="--chart-size is"):
            chart_px(kind, size)  # type: ignore[arg-type]


def test_wrong_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        write_charts(tmp_path / "charts", "screen", photographs=tmp_path / "empty")
    with pytest.raises(InputError, match="too small"):
        write_charts(tmp_path / "charts", "screen", "300x200")
    assert not (tmp_path / "charts").exists()
