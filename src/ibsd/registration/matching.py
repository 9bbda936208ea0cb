"""Matches the photographs of two folders, scene by scene: by name, by the time at which they were
taken, or by order."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from ibsd.data.pairs import Pair, UnmatchedError, find_pairs, image_files, listed
from ibsd.images.exif import taken_at
from ibsd.types import InputError, counted

MatchBy = Literal["auto", "name", "time", "order"]


class MatchedFiles(NamedTuple):
    """Photographs of the same scenes."""

    pairs: tuple[Pair, ...]
    by: Literal["name", "time", "order"]

    def sentence(self) -> str:
        """For the user, such as "12 scenes, matched by name"."""
        return f"{counted(len(self.pairs), 'scene')}, matched by {self.by}"


def match_files(hr_folder: Path, lr_folder: Path, by: MatchBy = "auto") -> MatchedFiles:
    """The photographs of two folders, scene by scene. Only names and headers are read.

    `auto` takes names, if half of the files have a partner of the same name; else times, if all
    photographs have one and each is the nearest to its partner; else order, if both folders hold
    as many.

    Errors: InputError where a folder is missing or empty, and for photographs without a partner.
    """
    hr_files = image_files(hr_folder)
    lr_files = image_files(lr_folder)
    if by in ("auto", "name"):
        try:
            return MatchedFiles(find_pairs(lr_folder, hr_folder), "name")
        except UnmatchedError as error:
            if by == "name" or len(error.files) <= (len(hr_files) + len(lr_files)) / 2:
                raise
    if by in ("auto", "time"):
        pairs = _by_time(hr_files, lr_files)
        if isinstance(pairs, tuple):
            return MatchedFiles(pairs, "time")
        if by == "time":
            raise InputError(pairs)
    if len(hr_files) != len(lr_files):
        more, less = sorted(((len(hr_files), hr_folder), (len(lr_files), lr_folder)), reverse=True)
        raise InputError(
            f"{more[1]} holds {counted(more[0], 'photograph')} and {less[1]} {less[0]}, "
            "and their names do not tell which belong together: "
            "add the missing ones, or give partners the same name"
        )
    pairs = tuple(Pair(lr.stem, lr, hr) for lr, hr in zip(lr_files, hr_files, strict=True))
    return MatchedFiles(pairs, "order")


def _by_time(hr_files: list[Path], lr_files: list[Path]) -> tuple[Pair, ...] | str:
    """The pairs that were taken nearest to each other, or why there are none."""
    times: dict[Path, datetime] = {}
    for file in (*hr_files, *lr_files):
        time = taken_at(file)
        if time is None:
            return f"{file} does not say when it was taken: match by name or order"
        times[file] = time

    def seconds(file: Path) -> float:
        return (times[file] - datetime(2000, 1, 1)).total_seconds()

    lr_sorted = sorted(lr_files, key=seconds)
    hr_sorted = sorted(hr_files, key=seconds)
    # Two cameras' clocks differ by some constant.
    offset = 0.0
    if len(lr_sorted) == len(hr_sorted):
        pairs = zip(lr_sorted, hr_sorted, strict=True)
        offset = median(seconds(hr) - seconds(lr) for lr, hr in pairs)
    nearest_hr = {
        lr: min(hr_files, key=lambda hr: abs(seconds(hr) - seconds(lr) - offset)) for lr in lr_files
    }
    nearest_lr = {
        hr: min(lr_files, key=lambda lr: abs(seconds(hr) - seconds(lr) - offset)) for hr in hr_files
    }
    alone = [str(lr) for lr in lr_files if nearest_lr[nearest_hr[lr]] != lr]
    alone += [str(hr) for hr in hr_files if nearest_hr[nearest_lr[hr]] != hr]
    if alone:
        return listed(
            f"{counted(len(alone), 'photograph')} without a partner of about the same time; "
            "add, remove, or match by name:",
            alone,
        )
    return tuple(Pair(lr.stem, lr, nearest_hr[lr]) for lr in sorted(lr_files))
