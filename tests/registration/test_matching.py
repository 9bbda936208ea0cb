"""Photographs find their partners by name, time or order, and it is said which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.registration.matching import match_files
from ibsd.types import InputError


def photograph(file: Path, second: int | None = None) -> None:
    file.parent.mkdir(exist_ok=True)
    exif = Image.Exif()
    if second is not None:
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:01 10:{second // 60:02}:{second % 60:02}"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(file, exif=exif)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "near", tmp_path / "far"


def named(folders: tuple[Path, Path], by: str = "auto") -> list[tuple[str, str]]:
    matched = match_files(*folders, by)  # type: ignore[arg-type]
    return [(pair.hr.stem, pair.lr.stem) for pair in matched.pairs]


def test_names_come_first(folders: tuple[Path, Path]) -> None:
    near, far = folders
    for second, name in enumerate("ab"):
        photograph(near / f"{name}_HR.jpg", second)
        photograph(far / f"{name}_LR.png", 10 - second)
    assert named(folders) == [("a_HR", "a_LR"), ("b_HR", "b_LR")]
    assert match_files(*folders).sentence() == "2 scenes, matched by name"


def test_a_missing_one_is_named(folders: tuple[Path, Path]) -> None:
    near, far = folders
    for name in "abc":
        photograph(near / f"{name}.jpg")
    for name in "ab":
        photograph(far / f"{name}.jpg")
    with pytest.raises(InputError, match=r"without a partner of the same name(.|\n)*c\.jpg"):
        match_files(*folders)


def test_times_of_clocks_that_differ(folders: tuple[Path, Path]) -> None:
    near, far = folders
    for number, second in enumerate((0, 60, 130)):
        photograph(near / f"n{number}.jpg", second + 1000)
        photograph(far / f"f{9 - number}.jpg", second)
    assert match_files(*folders).by == "time"
    assert named(folders) == [("n2", "f7"), ("n1", "f8"), ("n0", "f9")]


def test_a_missing_one_by_time(folders: tuple[Path, Path]) -> None:
    near, far = folders
    for number in range(3):
        photograph(near / f"n{number}.jpg", 60 * number)
        if number != 1:
            photograph(far / f"f{number}.jpg", 60 * number + 5)
    with pytest.raises(InputError, match=r"without a partner of about the same time(.|\n)*n1\.jpg"):
        match_files(*folders, "time")
    photograph(far / "f1.jpg")
    with pytest.raises(InputError, match=r"f1\.jpg does not say when"):
        match_files(*folders, "time")


def test_order_is_the_last_resort(folders: tuple[Path, Path]) -> None:
    near, far = folders
    for number in range(2):
        photograph(near / f"n{number}.jpg")
        photograph(far / f"f{number}.jpg")
    assert match_files(*folders).by == "order"
    assert named(folders) == [("n0", "f0"), ("n1", "f1")]
    photograph(near / "n2.jpg")
    with pytest.raises(InputError, match="holds 3 photographs and .* 2"):
        match_files(*folders)
    with pytest.raises(InputError, match="has a partner of the same name"):
        match_files(*folders, "name")
