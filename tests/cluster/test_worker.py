"""What a worker does with one file, without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

import ibsd
from cluster.fakes import open_fake, write_pictures
from ibsd.cluster.worker import Upscaling, Worker, remove_partials
from ibsd.types import InputError
from ibsd.upscaling import upscale_files


def worker(keep_existing: bool = False) -> Worker:
    made = Worker(Upscaling(open_fake, keep_existing=keep_existing), ibsd.__version__)
    made.open()
    return made


@pytest.mark.slow
def test_its_file_equals_that_of_one_machine(tmp_path: Path) -> None:
    (picture,) = write_pictures(tmp_path / "in", 1)
    target = tmp_path / "out" / "sub" / "00.png"
    made = worker().upscale(str(picture), str(target))
    assert made.result.error is None and made.seconds > 0 and made.node
    upscale_files([picture], tmp_path / "one.png", open_fake())
    assert target.read_bytes() == (tmp_path / "one.png").read_bytes()
    assert worker(keep_existing=True).upscale(str(picture), str(target)).result.skipped
    assert not worker().upscale(str(picture), str(target)).result.skipped


def test_what_goes_wrong_with_a_file_is_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_text("not an image")
    (picture,) = write_pictures(tmp_path / "in", 1)
    ours = worker()
    said = ours.upscale(str(tmp_path / "a.png"), str(tmp_path / "out.png")).result.error
    assert said is not None and said.startswith(f"{tmp_path}/a.png")
    under_a_file = str(tmp_path / "a.png" / "b.png")
    assert "cannot be written to" in (ours.upscale(str(picture), under_a_file).result.error or "")

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a defect\nof ours")

    monkeypatch.setattr("ibsd.cluster.worker.upscale_job", broken)
    said = ours.upscale(str(picture), str(tmp_path / "out.png")).result.error
    assert said is not None
    assert f"{picture}: ValueError a defect (line " in said and "this is a defect of ibsd" in said


def test_a_measurement_keeps_nothing(tmp_path: Path) -> None:
    (picture,) = write_pictures(tmp_path / "in", 1)
    measured = worker().measure(str(picture), str(tmp_path / "out" / "00.png"))
    assert not isinstance(measured, str)
    assert measured[0] > 0 and measured[1] > 50
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_another_version_is_refused() -> None:
    with pytest.raises(InputError, match="install the same version"):
        Worker(Upscaling(open_fake), "0.0.0").open()


def test_only_what_was_left_of_the_file_is_removed(tmp_path: Path) -> None:
    for name in (".a.png.0123abcd.partial", ".b.png.0123abcd.partial", "a.png"):
        (tmp_path / name).touch()
    remove_partials(str(tmp_path / "a.png"))
    remove_partials(str(tmp_path / "none" / "a.png"))
    assert {path.name for path in tmp_path.iterdir()} == {".b.png.0123abcd.partial", "a.png"}
