"""Folders of LR and HR images, matched by name.

Pairs lie in any two folders (`find_pairs`), or in one folder with `train_LR`, `train_HR`, `val_LR`,
`val_HR`, `test_LR` and `test_HR`, as CDC and DRealSR publish them (`find_layout`). One `InputError`
lists all files that do not fit.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from ibsd.images import IMAGE_SUFFIXES, is_image_name, read_rgb
from ibsd.types import InputError, counted

Size = tuple[int, int]
"""(height, width) in pixels."""

_LISTED = 20
# One suffix at the end of a stem: _LR, -HR, .LR4, _LRx4, _LR_x4, _LRBI_x4, or x4, _x4, -x4, .x4.
# LR and HR need a separator, as in no "Zephr". x4 needs none: Set5 and DIV2K write "babyx4" and
# "0801x4". Digits from 1, because DRealSR calls its HR images "_x1".
_SUFFIX = re.compile(
    r"(?:[ _.-](?:LR(?:BI)?|HR)(?:x?[1-9]|[ _.-]x[1-9])?|[ _.-]?x[1-9])$", re.IGNORECASE
)


@dataclass(frozen=True)
class Pair:
    """An LR image and the HR image of the same scene, in files that may not have been read yet."""

    name: str
    """What the two file names have in common; unique within a folder."""
    lr: Path
    hr: Path


@dataclass(frozen=True)
class PairSets:
    """Pairs to train on, to choose by, and to report; a set that is not there is empty."""

    train: tuple[Pair, ...] = ()
    val: tuple[Pair, ...] = ()
    test: tuple[Pair, ...] = ()

    def by_split(self) -> dict[str, tuple[Pair, ...]]:
        """{"train": pairs, "val": pairs, "test": pairs}."""
        return {"train": self.train, "val": self.val, "test": self.test}

    def all(self) -> tuple[Pair, ...]:
        """Train, val and test, one after the other."""
        return self.train + self.val + self.test

    def select(self, pattern: str) -> PairSets:
        """The pairs whose names match a pattern such as `Canon*` (case counts); all of them for an
        empty pattern."""
        if not pattern:
            return self
        train, val, test = (
            tuple(pair for pair in pairs if fnmatchcase(pair.name, pattern))
            for pairs in self.by_split().values()
        )
        return PairSets(train, val, test)


class UnmatchedError(InputError):
    """Images without a partner, or with several. The message lists some of them, `files` all."""

    def __init__(self, message: str, files: Iterable[Path]) -> None:
        super().__init__(message)
        self.files = tuple(files)


def find_pairs(
    lr_folder: str | os.PathLike[str],
    hr_folder: str | os.PathLike[str],
    dropped: Collection[Path] = (),
) -> tuple[Pair, ...]:
    """The pairs of two folders, sorted by name. Only names are read. Subfolders, other files and
    the absolute paths in `dropped` are left out.

    Files of the same stem belong together ("photo_x4.png" and "photo_x4.jpg"). The other files are
    matched without suffixes such as `_LR`, `_LR4`, `_HR`, `x4`, `_x4`, `-x4`, `.x4` and `_LR_x4`,
    in any case.

    Errors: InputError when a folder is missing or has no images; `UnmatchedError` when a file has
    no partner or several.

    Example: {"a_LR4.png", "b.png"} and {"a_HR.png", "b.jpg"} -> pairs "a" and "b".
    """
    lr_folder = Path(lr_folder)
    hr_folder = Path(hr_folder)
    lr_files = image_files(lr_folder, dropped)
    hr_files = image_files(hr_folder, dropped)
    if lr_folder.samefile(hr_folder):
        raise InputError(f"LR and HR folder are the same, {lr_folder}: name two folders")
    return matched_files(lr_files, hr_files, f"{lr_folder} and {hr_folder}")


def matched_files(
    lr_files: Sequence[Path], hr_files: Sequence[Path], where: str
) -> tuple[Pair, ...]:
    """Pairs of the files, sorted by name; `where` they lie is for messages. Errors:
    `UnmatchedError` as `find_pairs`."""
    lr_stems = _grouped(lr_files, lambda stem: stem)
    hr_stems = _grouped(hr_files, lambda stem: stem)
    same = [stem for stem in lr_stems if len(lr_stems[stem]) == len(hr_stems.get(stem, ())) == 1]
    pairs = {stem: Pair(stem, lr_stems[stem][0], hr_stems[stem][0]) for stem in same}

    lr_keys = _grouped((file for file in lr_files if file.stem not in pairs), without_suffixes)
    hr_keys = _grouped((file for file in hr_files if file.stem not in pairs), without_suffixes)
    alone: list[Path] = []
    unclear: dict[str, list[Path]] = {}
    for key in sorted(lr_keys.keys() | hr_keys.keys()):
        lr = lr_keys.get(key, [])
        hr = hr_keys.get(key, [])
        if len(lr) == len(hr) == 1 and key not in pairs:
            pairs[key] = Pair(key, lr[0], hr[0])
        elif not lr or not hr:
            alone += lr + hr
        else:
            unclear[key] = lr + hr
    if unclear:
        names = f"{counted(len(unclear), 'name')} could be matched in several ways"
        lines = [f'"{key}": ' + ", ".join(map(str, files)) for key, files in unclear.items()]
        message = listed(f"{names}; keep one LR and one HR image of each:", lines)
        raise UnmatchedError(message, (file for files in unclear.values() for file in files))
    if alone:
        images = f"{counted(len(alone), 'image')} in {where}"
        if not pairs and len(alone) > 2:
            raise UnmatchedError(
                f"none of the {images} has a partner of the same name, such as {alone[0]}: "
                "rename them alike",
                alone,
            )
        sentence = f"{images} without a partner of the same name; rename, add or remove:"
        raise UnmatchedError(listed(sentence, [*map(str, alone)]), alone)
    return tuple(pairs[name] for name in sorted(pairs))


def without_suffixes(stem: str) -> str:
    """The stem less the suffixes that tell LR from HR, never empty: "a_LR_x4" -> "a", "babyx4" ->
    "baby", "x4" -> "x4"."""
    shorter = _SUFFIX.sub("", stem)
    return stem if shorter in ("", stem) else without_suffixes(shorter)


def find_layout(folder: str | os.PathLike[str], dropped: Collection[Path] = ()) -> PairSets:
    """The pairs of a folder in the published layout, less the absolute paths in `dropped`. A
    missing split is empty.

    Errors: InputError when all splits or one side of a split are missing, and as `find_pairs`.
    """
    folder = Path(folder)
    _check_folder(folder)
    sets: dict[str, tuple[Pair, ...]] = {}
    for split in PairSets().by_split():
        lr = folder / f"{split}_LR"
        hr = folder / f"{split}_HR"
        if os.path.isdir(lr) != os.path.isdir(hr):
            there, missing = (lr, hr) if os.path.isdir(lr) else (hr, lr)
            raise InputError(f"{there} is there, but {missing.name} is missing: add it")
        if os.path.isdir(lr):
            sets[split] = find_pairs(lr, hr, dropped)
    if not sets:
        raise InputError(
            f"{folder} holds no train_LR and train_HR, val_LR and val_HR, or test_LR and test_HR: "
            "name the folder that does, or two folders of your own by --lr and --hr (in a config "
            "data.lr and data.hr)"
        )
    return PairSets(**sets)


def load_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """(LR uint8 [h, w, 3], HR uint8 [H, W, 3]) from their files, HR cropped to `fitted_size`.
    InputError as `images.read_rgb`."""
    lr = read_rgb(pair.lr)
    hr = read_rgb(pair.hr)
    height, width = fitted_size((lr.shape[0], lr.shape[1]), (hr.shape[0], hr.shape[1]))
    return lr, np.ascontiguousarray(hr[:height, :width])


def size_ratio(lr: Size, hr: Size) -> int:
    """How many times as large as LR, (height, width), HR is, apart from rows below and columns to
    the right that make no whole LR pixel; 0 where it is no whole number of times.

    Example: (85, 85) and (256, 256) -> 3, as in Set5 at x3; (64, 64) and (250, 256) -> 0.
    """
    times = hr[0] // lr[0]
    left = max(hr[0] - times * lr[0], hr[1] - times * lr[1])
    return times if hr[1] // lr[1] == times and left < times else 0


def fitted_size(lr: Size, hr: Size) -> Size:
    """HR's (height, width) without those rows and columns (modcrop, as every benchmark is scored);
    as it is where no whole number of times fits."""
    times = size_ratio(lr, hr)
    return (times * lr[0], times * lr[1]) if times else hr


def _check_folder(folder: Path) -> None:
    # os.path, because Path raises where a folder above may not be looked into.
    if not os.path.exists(folder):
        raise InputError(f"{folder} does not exist: check its name")
    if not os.path.isdir(folder):
        raise InputError(f"{folder} is a file: name the folder that holds it")


def image_files(folder: Path, dropped: Collection[Path] = ()) -> list[Path]:
    """`images_in` a folder. InputError if it is missing, a file, or holds no images."""
    _check_folder(folder)
    if not (files := images_in(folder)):
        raise InputError(
            f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}): "
            "name the folder that holds them directly"
        )
    return [file for file in files if file.absolute() not in dropped]


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name. InputError if it may not be read."""
    try:
        return sorted(file for file in folder.iterdir() if is_image_name(file) and file.is_file())
    except PermissionError as error:
        raise InputError(f"{folder} may not be read: allow it, or name another folder") from error


def _grouped(files: Iterable[Path], key: Callable[[str], str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        groups[key(file.stem)].append(file)
    return groups


def listed(sentence: str, lines: Sequence[str]) -> str:
    """The sentence over a list of at most 20 lines."""
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return "\n  ".join([sentence, *lines[:_LISTED], *more])
