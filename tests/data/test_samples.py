"""The photographs inside the package and the pairs made from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ibsd.data import samples
from ibsd.data.integrity import check_disjoint, check_pairs, fingerprint
from ibsd.data.pairs import find_layout, load_pair
from ibsd.images import image_size
from ibsd.types import InputError

FOLDER = Path(samples.__file__).with_name("photographs")


def test_every_photograph_is_named_credited_and_used_once() -> None:
    files = {file.stem for file in FOLDER.glob("*.jpg")}
    used = [
        *(name for names in samples.SPLITS.values() for name in names),
        samples.UPSCALING_SAMPLE,
    ]
    assert files == set(samples.sample_names()) == set(used) and len(used) == len(files)
    credited = [
        line.split("|")
        for line in (FOLDER / "CREDITS.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    assert sorted(row[1].strip(" `") for row in credited) == sorted(f"{name}.jpg" for name in files)
    for row in credited:
        width, height = map(int, row[7].strip().split("x"))
        assert image_size(FOLDER / row[1].strip(" `")) == (height, width)
        assert "SA" not in row[4] and any(
            licence in row[4] for licence in ("CC BY ", "CC0", "public domain")
        )


def test_photographs_are_small_and_every_scale_divides_them() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_200_000
    assert all(
        side % 12 == 0
        for name in samples.sample_names()
        for side in image_size(FOLDER / f"{name}.jpg")
    )


def test_a_photograph_by_name() -> None:
    assert samples.sample("chelsea").shape == (288, 432, 3)

    with pytest.raises(InputError, match="chelsea"):
        samples.sample("lenna")


def test_a_pair_depends_on_name_seed_and_variant_alone() -> None:
    lr, hr = samples.sample_pair("chelsea", 3)
    assert (
        lr.shape == (96, 144, 3) and hr.shape == (288, 432, 3) and lr.dtype == hr.dtype == np.uint8
    )
    assert np.array_equal(lr, samples.sample_pair("chelsea", 3)[0])
    for seed, variant in ((1, 0), (0, 1)):
        assert not np.array_equal(lr, samples.sample_pair("chelsea", 3, seed, variant)[0])


@pytest.mark.slow
def test_written_pairs_pass_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A few small pieces of photographs are enough.
    splits = {"train": ("table", "coffee"), "val": ("chelsea",), "test": ("astronaut",)}
    whole = samples.sample
    monkeypatch.setattr(samples, "SPLITS", splits)
    monkeypatch.setattr(samples, "sample", lambda name: whole(name)[:192, :240])
    sets = samples.write_sample_pairs(tmp_path / "new" / "pairs", 4, variants=2)
    assert [pair.name for pair in sets.train] == ["coffee_v1", "coffee_v2", "table_v1", "table_v2"]
    assert [pair.name for pair in sets.val + sets.test] == [
        "chelsea",
        "astronaut",
    ] and sets == find_layout(tmp_path / "new" / "pairs")
    digests = check_pairs(sets.all(), 4, min_lr_px=48)
    check_disjoint(sets, digests)
    first, second = sets.train[:2]
    assert digests[first.hr].pixels == digests[second.hr].pixels
    assert digests[first.lr].pixels != digests[second.lr].pixels
    assert all(
        np.array_equal(*both)
        for both in zip(load_pair(sets.val[0]), samples.sample_pair("chelsea", 4), strict=True)
    )
    assert len(list((tmp_path / "new" / "pairs").iterdir())) == 6  # nothing hidden is left

    again = samples.write_sample_pairs(tmp_path / "again", 4, variants=2)
    assert fingerprint(again.train) == fingerprint(sets.train, digests)


def test_a_folder_in_use_and_wrong_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    for folder, scale, variants, reason in [
        (tmp_path, 4, 1, "not empty"),
        (tmp_path / "mine.txt", 4, 1, "cannot be written to"),
        (tmp_path / "new", 5, 1, "scale is 5"),
        (tmp_path / "new", 4, 0, "variants is 0"),
    ]:
        with pytest.raises(InputError, match=reason):
            samples.write_sample_pairs(folder, scale, variants=variants)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failure_half_way_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise InputError("disk full")

    monkeypatch.setattr(samples, "write_rgb", full)
    with pytest.raises(InputError, match="disk full"):
        samples.write_sample_pairs(tmp_path, 4)
    assert not list(tmp_path.iterdir())
