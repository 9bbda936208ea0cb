"""Benchmark sets (Set5, Set14, B100, Urban100, Manga109) and DIV2K as people keep them: one folder
of HR, and folders of LR by scale. Only names are read here.

| tree | in use by |
|---|---|
| `Set5/HR/baby.png`, `Set5/LR_bicubic/X4/babyx4.png` | EDSR, SwinIR |
| `Set5/GTmod12/baby.png` or `GTmod4`, `Set5/LRbicx4/baby.png` | BasicSR, mmagic |
| `Set5/HR/x4`, `Set5/LR/x4` or `Set5/LRBI/x4` | EDT, SimpleIR |
| `HR/Set5/x4/baby_HR_x4.png`, `LR/LRBI/Set5/x4/baby_LRBI_x4.png` | RCAN, SAN |
| `Set5/image_SRF_4/img_001_SRF_4_HR.png`, `..._LR.png` | SelfExSR (Huang et al., CVPR 2015) |
| `DIV2K_train_HR/0001.png`, `DIV2K_train_LR_bicubic/X4/0001x4.png` | NTIRE 2017 |

Upper and lower case in the names of folders do not count.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ibsd.data.pairs import Pair, PairSets, find_pairs, image_files, matched_files
from ibsd.types import SCALES, InputError, Scale

_HR = ("GTmod12", "GTmod{}", "HR/x{}", "HR")
_LR = ("LRbicx{}", "LR_bicubic/X{}", "LRBI/x{}", "LR/x{}")
_OF_SETS = ("HR", "LR/LRBI")
"""Folders of many sets, each with folders by scale."""


class _Sides(NamedTuple):
    lr: Path
    hr: Path

    def pairs(self, dropped: Collection[Path]) -> tuple[Pair, ...]:
        """Matched by name. SelfExSR keeps both sides in one folder, beside others' results."""
        if self.lr != self.hr:
            return find_pairs(self.lr, self.hr, dropped)
        files = image_files(self.lr, dropped)
        lr, hr = (
            [file for file in files if file.stem.upper().endswith(mark)] for mark in ("_LR", "_HR")
        )
        return matched_files(lr, hr, str(self.lr))


def find_benchmark(
    folder: Path, scale: Scale, dropped: Collection[Path] = ()
) -> tuple[str, PairSets] | None:
    """(name, pairs to test on) of a benchmark set, from its folder or from one that holds it alone;
    None for any other folder.

    Errors: InputError where the scale is missing, where several sets are there, and as
    `find_pairs`.
    """
    by_scale = {k: sets for k in SCALES if (sets := _sets(folder, k))}
    if not by_scale:
        return None
    if scale not in by_scale:
        raise InputError(
            f"{folder} holds LR at scale {' and '.join(map(str, by_scale))}, not {scale}: "
            "take a network of that scale, or add its LR"
        )
    sets = by_scale[scale]
    if len(sets) > 1:
        first = next(iter(sets.values()))
        raise InputError(
            f"{folder} holds {len(sets)} sets, {', '.join(sorted(sets))}: "
            f"name one by its two folders, such as {first.lr} and {first.hr}"
        )
    ((name, sides),) = sets.items()
    return f"{name} x{scale}", PairSets(test=sides.pairs(dropped))


def is_benchmark(folder: Path) -> bool:
    """Whether `find_benchmark` knows the folder."""
    return any(_sets(folder, scale) for scale in SCALES)


def find_div2k(
    folder: Path, scale: Scale, dropped: Collection[Path] = ()
) -> tuple[str, PairSets] | None:
    """(name, pairs to train on and to choose by) of DIV2K's bicubic track; None for any other
    folder. Errors: InputError as `find_pairs`."""
    sides = [
        _sides(folder, (f"DIV2K_{split}_LR_bicubic/X{scale}",), (f"DIV2K_{split}_HR",))
        for split in ("train", "valid")
    ]
    if not any(sides):
        return None
    train, val = (side.pairs(dropped) if side else () for side in sides)
    return f"DIV2K bicubic x{scale}", PairSets(train, val)


def _sets(folder: Path, scale: int) -> dict[str, _Sides]:
    """{name: sides} of the sets in a folder that have this scale."""
    if folder.absolute().name.lower() == f"image_srf_{scale}":
        folder = folder.absolute().parent
    if sides := _one_set(folder, scale):
        return {folder.absolute().name: sides}
    below = {child.name: _one_set(child, scale) for child in _folders(folder).values()}
    hr = _below(folder, _OF_SETS[0])
    for child in _folders(hr).values() if hr else ():
        lr_name, hr_name = (f"{side}/{child.name}/x{scale}" for side in reversed(_OF_SETS))
        below[child.name] = _sides(folder, (lr_name,), (hr_name,))
    return {name: sides for name, sides in below.items() if sides}


def _one_set(folder: Path, scale: int) -> _Sides | None:
    if together := _below(folder, f"image_SRF_{scale}"):
        return _sides(together, ("LR",), ("HR",)) or _Sides(together, together)
    return _sides(folder, _LR, _HR, scale)


def _sides(
    folder: Path, lr_names: Collection[str], hr_names: Collection[str], scale: int = 0
) -> _Sides | None:
    """The first of each that is there; None where a side has none."""
    lr, hr = (
        next((path for name in names if (path := _below(folder, name.format(scale)))), None)
        for names in (lr_names, hr_names)
    )
    return _Sides(lr, hr) if lr and hr else None


def _below(folder: Path, path: str) -> Path | None:
    """`folder/path` whatever the case of its letters; None where it is no folder."""
    for part in path.split("/"):
        if (below := _folders(folder).get(part.lower())) is None:
            return None
        folder = below
    return folder


def _folders(folder: Path) -> dict[str, Path]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name.lower(): Path(entry.path) for entry in entries if entry.is_dir()}
    except OSError:
        return {}
