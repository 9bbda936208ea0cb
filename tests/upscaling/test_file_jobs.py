"""Jobs are known, and mistakes in names found, before anything is decoded or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.system import make_folder
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


def test_a_suffix_of_no_image_means_no_folder(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.touch()
    with pytest.raises(InputError, match=r"a\.xyz does not end .* \.png, .* with a slash"):
        file_jobs([photo], tmp_path / "a.xyz")
    (tmp_path / "2026.11").mkdir()
    outputs = [tmp_path / "2026.11", f"{tmp_path}/a.xyz/", tmp_path / "large"]
    for output in outputs:
        assert file_jobs([photo], output).jobs[0].target == Path(output) / "a.jpg"
    assert file_jobs([photo, tmp_path], tmp_path / "x.4").jobs[0].target.parent == tmp_path / "x.4"


def test_an_image_that_cannot_be_read_is_refused_with_what_converts_it(tmp_path: Path) -> None:
    (tmp_path / "a b.GIF").touch()
    with pytest.raises(InputError, match=r'magick ".*/a b\.GIF\[0\]" ".*/a b\.png"'):
        file_jobs([tmp_path / "a b.GIF"], tmp_path / "out")


def test_an_output_that_is_a_link_to_itself_is_for_later_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    [job] = file_jobs([tmp_path / "in"], tmp_path / "loop").jobs
    with pytest.raises(InputError, match="loop cannot be written to, it is no folder"):
        make_folder(job.target.parent)
