"""Names of a million photographs, without a look at them."""

from __future__ import annotations

from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow", reason="pip install 'ibsd[cluster]' brings what is tested here")

from ibsd.cluster.listing import listed, refuse_existing_targets, rows_of  # noqa: E402
from ibsd.types import InputError  # noqa: E402
from ibsd.upscaling import file_jobs  # noqa: E402


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("b.JPG", "sub/a.heic", "sub/deep/c.d.png", "sub/notes.txt", ".hidden.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not an image")
    return folder


def names(jobs: object, folder: Path) -> set[str]:
    return {str(Path(target).relative_to(folder)) for _, target in rows_of(jobs)}


@pytest.mark.parametrize("format", [None, "webp"])
def test_a_folder_becomes_what_it_becomes_on_one_machine(
    photos: Path, tmp_path: Path, format: str | None
) -> None:
    there = listed([str(photos)], str(tmp_path / "out"), suffix="_x4", format=format)
    here = file_jobs([photos], tmp_path / "out", suffix="_x4", format=format)
    assert set(rows_of(there.jobs)) == {(str(job.source), str(job.target)) for job in here.jobs}
    assert len(here.jobs) == 3
    assert there.passed_over == [str(path) for path in here.passed_over]


def test_patterns_and_lists_mirror_the_folder_that_they_share(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pattern = listed([f"{photos}/sub/**/*.*g"], str(out))
    assert names(pattern.jobs, out) == {"deep/c.d.png"}
    (photos / "list.csv").write_text("path,year\nsub/a.heic,1990\nsub/deep/c.d.png,1991\n")
    assert names(listed([str(photos / "list.csv")], str(out)).jobs, out) == {
        "a.jpg",
        "deep/c.d.png",
    }
    table = pa.table({"path": [str(photos / "b.JPG"), "sub/a.heic", "missing.png"]})
    pa.parquet.write_table(table, photos / "list.parquet")
    assert names(listed([str(photos / "list.parquet")], str(out)).jobs, out) == {
        "b.JPG",
        "sub/a.jpg",
        "missing.png",
    }


def test_mistakes_in_names_are_one_sentence(photos: Path, tmp_path: Path) -> None:
    (photos / "other.csv").write_text("name\na.png\n")
    (photos / "notes.csv").write_text("path\nsub/notes.txt\n")
    (photos / "empty.csv").write_text("path\n")
    (photos / "broken.parquet").write_bytes(b"PAR1")
    (photos / "b.png").write_bytes(b"")
    out = str(tmp_path / "out")
    for given, words in (
        ([str(photos / "none")], "none does not exist"),
        ([f"{photos}/*.tif"], "matches no photograph"),
        ([str(photos / "other.csv")], "it has no column path"),
        ([str(photos / "empty.csv")], "holds no names"),
        ([str(photos / "notes.csv")], "notes.txt is not named as an image"),
        ([str(photos / "broken.parquet")], "is no list of photographs"),
    ):
        with pytest.raises(InputError, match=words) as raised:
            listed(given, out)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"would both become .*b\.webp"):
        listed([str(photos)], out, format="webp")
    with pytest.raises(InputError, match="is itself an input"):
        listed([str(photos / "b.png")], str(photos))
    with pytest.raises(InputError, match="is no folder"):
        listed([str(photos)], str(photos / "b.png"))


def test_targets_that_exist_are_found_in_one_listing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = listed([str(photos)], str(out)).jobs
    refuse_existing_targets(jobs, str(out))
    (out / "sub").mkdir(parents=True)
    (out / "other.jpg").write_bytes(b"")
    refuse_existing_targets(jobs, str(out))
    (out / "sub" / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"out/sub/a\.jpg exists already"):
        refuse_existing_targets(jobs, str(out))
