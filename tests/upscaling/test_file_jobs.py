"""Jobs are known, and mistakes in names found, before anything is decoded or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.types import InputError
from ibsd.upscaling import file_jobs


def test_jobs_are_known_without_reading_or_writing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.jpg", "sub/a.heic", "sub/clip.mp4", "notes.txt", ".hidden.txt"):
        (folder / name).write_bytes(b"not an image")
    jobs, passed_over = file_jobs([folder], tmp_path / "out", suffix="_x4")
    assert [str(job.target.relative_to(tmp_path)) for job in jobs] == [
        "out/b_x4.jpg",
        "out/sub/a_x4.jpg",
    ]
    assert passed_over == [folder / "notes.txt", folder / "sub" / "clip.mp4"]
    assert not (tmp_path / "out").exists()


def test_mistakes_need_no_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        file_jobs([tmp_path / "none.jpg"], tmp_path / "out")
