"""A manifest tells the truth, whatever ends a run."""

from __future__ import annotations

from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")

from ibsd.cluster import manifest as module  # noqa: E402
from ibsd.cluster.manifest import FOLDER, Manifest, Row, State, is_begun, opened  # noqa: E402
from ibsd.types import InputError  # noqa: E402

SETTINGS = {"weights": "12ab", "tile": "auto", "size": {"width": 90}}


def row(name: str, state: State = "done") -> Row:
    reason = "it is no image" if state == "failed" else None
    return Row(f"/in/{name}", f"/out/{name}", state, reason, None, 0.5, 1, "north", "0.1.0")


def table(*names: str) -> object:
    return pa.table(
        {
            "source": pa.array([f"/in/{name}" for name in names], pa.large_string()),
            "target": pa.array([f"/out/{name}" for name in names], pa.large_string()),
        }
    )


def left(manifest: Manifest, *names: str) -> list[str]:
    return manifest.unsettled(table(*names))["source"].to_pylist()


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    assert not is_begun(str(tmp_path))
    with opened(str(tmp_path), SETTINGS) as manifest:
        assert left(manifest, "a", "b") == ["/in/a", "/in/b"]
        for each in (row("a"), row("b", "failed"), row("c", "skipped")):
            manifest.add(each)
        with pytest.raises(InputError, match="another run writes"), opened(str(tmp_path), SETTINGS):
            pass
    assert is_begun(str(tmp_path))
    with opened(str(tmp_path), SETTINGS) as manifest:
        assert left(manifest, "a", "b", "c", "d") == ["/in/b", "/in/d"]
        manifest.add(row("b"))
    with opened(str(tmp_path), SETTINGS) as manifest:
        assert left(manifest, "a", "b", "c", "d") == ["/in/d"]
        assert manifest.read().to_pylist()[1] == row("b", "failed")._asdict()
        assert len(manifest.parts()) == 2


def test_rows_that_an_error_interrupts_are_kept(tmp_path: Path) -> None:
    def interrupted() -> None:
        with opened(str(tmp_path), SETTINGS) as manifest:
            manifest.add(row("a"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with opened(str(tmp_path), SETTINGS) as manifest:
        assert left(manifest, "a") == []


def test_parts_are_written_as_the_run_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_OF_PART", 2)
    with opened(str(tmp_path), SETTINGS) as manifest:
        for name in "abcde":
            manifest.add(row(name))
        assert manifest.parts() == [
            "part-00000001.parquet",
            "part-00000002.parquet",
        ]
        assert manifest.read(["source"])["source"].to_pylist() == [
            "/in/a",
            "/in/b",
            "/in/c",
            "/in/d",
        ]


def test_other_settings_are_refused_and_force_begins_anew(tmp_path: Path) -> None:
    with opened(str(tmp_path), SETTINGS) as manifest:
        manifest.add(row("a"))
    other = {**SETTINGS, "tile": 64}
    with (
        pytest.raises(InputError, match="other settings \\(tile auto, now 64\\)"),
        opened(str(tmp_path), other),
    ):
        pass
    with opened(str(tmp_path), other, force=True) as manifest:
        assert left(manifest, "a") == ["/in/a"]
        assert manifest.replaces
    with opened(str(tmp_path), other) as manifest:  # a forced run that goes on still replaces
        assert manifest.replaces


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    with opened(str(tmp_path), SETTINGS) as manifest:
        manifest.add(row("a"))
    (tmp_path / FOLDER / "part-00000001.parquet").write_bytes(b"PAR1")
    with (
        opened(str(tmp_path), SETTINGS) as manifest,
        pytest.raises(InputError, match=r"part-00000001.parquet is damaged"),
    ):
        left(manifest, "a")
    (tmp_path / FOLDER / "settings.json").write_text("{")
    with (
        pytest.raises(InputError, match="settings.json is damaged"),
        opened(str(tmp_path), SETTINGS),
    ):
        pass
