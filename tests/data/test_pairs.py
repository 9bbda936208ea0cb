"""Folders of pairs: what matches, what is refused, and that every refusal names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.data.pairs import find_layout, find_pairs, fitted_size, size_ratio, without_suffixes
from ibsd.types import InputError


def touch(folder: Path, *names: str) -> Path:
    """Matching looks at names only, so that empty files do."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def matched(tmp_path: Path, lr: list[str], hr: list[str]) -> list[tuple[str, str, str]]:
    pairs = find_pairs(touch(tmp_path / "lr", *lr), touch(tmp_path / "hr", *hr))
    return [(pair.name, pair.lr.name, pair.hr.name) for pair in pairs]


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        ("a_LR", "a"),
        ("a_hr", "a"),
        ("a-HR", "a"),
        ("a.LR", "a"),
        ("Canon_001_LR4", "Canon_001"),
        ("Canon_001_HR", "Canon_001"),
        ("a_LR_x4", "a"),
        ("a_LRx4", "a"),
        ("a_x4_LR", "a"),
        ("0801x4", "0801"),
        ("babyx4", "baby"),
        ("a_x4", "a"),
        ("a-x3", "a"),
        ("a.X2", "a"),
        ("DSC_1_x1", "DSC_1"),
        ("x4", "x4"),
        ("_LR", "_LR"),
        ("Zephr", "Zephr"),
        ("a_x12", "a_x12"),
        ("a_LR_1", "a_LR_1"),
    ],
)
def test_suffixes_that_are_cut(stem: str, key: str) -> None:
    assert without_suffixes(stem) == key


def test_names_match_with_and_without_suffixes_and_in_any_format(tmp_path: Path) -> None:
    found = matched(
        tmp_path,
        ["b_LR4.png", "a.PNG", "c-x4.jpg", "notes.txt", ".hidden.png"],
        ["a.jpg", "b_HR.png", "c.tif", "Thumbs.db"],
    )
    assert found == [
        ("a", "a.PNG", "a.jpg"),
        ("b", "b_LR4.png", "b_HR.png"),
        ("c", "c-x4.jpg", "c.tif"),
    ]


def test_equal_stems_go_before_cut_ones(tmp_path: Path) -> None:
    names = ["photo_x4.png", "photo.png", "photo_x2.png"]
    assert matched(tmp_path, names, names) == [
        (Path(name).stem, name, name) for name in ("photo.png", "photo_x2.png", "photo_x4.png")
    ]


@pytest.mark.parametrize(
    ("lr", "hr"),
    [
        (["a_x2.png", "a_x4.png"], ["a.png"]),
        (["a.png"], ["a.png", "a.jpg"]),
        (
            ["a.png", "a_LR.png"],
            ["a.png", "a_HR.png"],
        ),  # the second pair would be called "a" as well
    ],
)
def test_ambiguous_names_are_refused_and_listed(
    tmp_path: Path, lr: list[str], hr: list[str]
) -> None:
    with pytest.raises(InputError, match="several ways") as caught:
        matched(tmp_path, lr, hr)
    assert lr[-1] in str(caught.value) and hr[-1] in str(caught.value)


def test_unmatched_names_are_listed_twenty_at_most(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"24 images .* without a partner") as caught:
        matched(
            tmp_path,
            ["both.png", *(f"only{i:02}.png" for i in range(23))],
            ["both.png", "alone.png"],
        )
    lines = str(caught.value).splitlines()
    assert (
        len(lines) == 22
        and lines[1].endswith("alone.png")
        and lines[-1].strip() == "and 4 more"
        and "both" not in str(caught.value)
    )


def test_folders_that_cannot_be_paired(tmp_path: Path) -> None:
    good, file, empty = (
        touch(tmp_path / "good", "a.png"),
        touch(tmp_path, "file.png") / "file.png",
        touch(tmp_path / "empty", "a.txt"),
    )
    for lr, hr, reason in [
        (tmp_path / "gone", good, "gone does not exist"),
        (good, file, "file.png is a file"),
        (empty, good, "empty holds no images"),
        (good, tmp_path / "good" / ".", "are the same"),
    ]:
        with pytest.raises(InputError, match=reason) as caught:
            find_pairs(lr, hr)
        assert "\n" not in str(caught.value)


def test_published_layout(tmp_path: Path) -> None:
    for split, count in (("train", 2), ("test", 1)):
        for side in ("LR", "HR"):
            touch(
                tmp_path / f"{split}_{side}", *(f"Canon_{split}{i}_LR4.png" for i in range(count))
            )
    sets = find_layout(tmp_path)
    assert [len(sets.train), len(sets.val), len(sets.test)] == [
        2,
        0,
        1,
    ] and sets.all() == sets.train + sets.test
    touch(tmp_path / "val_LR", "a.png")
    with pytest.raises(InputError, match="val_LR is there, but val_HR"):
        find_layout(tmp_path)


def test_a_folder_without_layout(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no train_LR"):
        find_layout(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_layout(tmp_path / "gone")


def test_hr_may_have_rows_and_columns_that_make_no_lr_pixel() -> None:
    assert size_ratio((85, 85), (256, 256)) == 3, "Set5 at x3"
    assert fitted_size((85, 85), (256, 256)) == (255, 255)
    assert size_ratio((64, 64), (256, 256)) == 4
    assert size_ratio((64, 64), (250, 256)) == 0
    assert fitted_size((64, 64), (250, 256)) == (250, 256)
    assert size_ratio((64, 64), (256, 260)) == 0, "a whole LR pixel more"
    assert size_ratio((64, 64), (64, 64)) == 1
    assert size_ratio((64, 64), (32, 32)) == 0, "swapped"


def test_no_name_that_matches_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^none of the 40 images in .* has a partner") as caught:
        matched(tmp_path, [f"l{i}.png" for i in range(20)], [f"h{i}.png" for i in range(20)])
    assert "\n" not in str(caught.value)
