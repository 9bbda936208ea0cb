"""Folders of pairs as their authors distribute them: recognised, named, and matched, whatever their
files are called.

| name | tree |
|---|---|
| published layout (CDC, and ours) | `train_LR`, `train_HR`, `val_LR`, ..., `test_HR` |
| RealSR V3 | `Canon/Train/4/Canon_001_HR.png`, `Canon_001_LR4.png`; likewise Nikon, Test, 2, 3 |
| DRealSR | `Train_x4/train_HR`, `Train_x4/train_LR`, `Test_x4/test_HR`, ..., or in folders `x4` |
| RealSR V1, V2 | as V3, but LR has HR's size |
| City100 | `City100_NikonD5500/001H.PNG`, `001L.PNG`; likewise iPhoneX; LR has HR's size |
| Set5 and such, DIV2K | see `benchmark_sets.py` |
| two folders | `LR`, `HR`, all to train on |

`scaled_pairs.py` brings LR of HR's size to a scale. Only names and headers are read here.
Sources: Cai et al., ICCV 2019, arXiv:1904.00523 (RealSR); Wei et al., ECCV 2020,
arXiv:2008.01928 (DRealSR); Chen et al., CVPR 2019, arXiv:1904.03378 (City100).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ibsd.data.benchmark_sets import find_benchmark, find_div2k, is_benchmark
from ibsd.data.pairs import Pair, PairSets, UnmatchedError, find_layout, find_pairs, images_in
from ibsd.images import image_size
from ibsd.types import SCALES, InputError, Scale, counted

CITY100_TEST = ("001", "016", "048", "060", "098")
"""Scenes that the authors of City100 test on."""
CITY100_SCALES = (2, 3)
"""Scales that City100 serves. Its lenses zoom about 2.9 (Nikon) and 2.5 times (iPhone): at x4 most
of the difference between LR and HR would be our own shrinking."""

PUBLISHED = "published layout"

_SPLITS = ("Train", "Test")

_REALSR = re.compile(r"(.+)_(L|H)R[234]?", re.IGNORECASE)
_CITY100 = re.compile(r"(\d+)(L|H)", re.IGNORECASE)
_SCALE_MARK = re.compile(r"_x[1-4](?=_|$)")  # DRealSR: "DSC_1412_x1" is HR, "DSC_1412_x4" is LR


class Layout(NamedTuple):
    """What a folder was recognised as, and its pairs at one scale."""

    name: str
    sets: PairSets
    lr_has_hr_size: bool = False

    def sentence(self) -> str:
        """For the user, such as "RealSR V3 (Canon and Nikon) x4: train 459, test 100 pairs"."""
        counts = ", ".join(
            f"{split} {len(pairs)}" for split, pairs in self.sets.by_split().items() if pairs
        )
        return f"{self.name}: {counts} pairs"


def find_data(
    folder: str | os.PathLike[str], scale: Scale, dropped: Collection[Path] = ()
) -> Layout:
    """The pairs of a folder in any layout that is ready for use, less the absolute paths in
    `dropped`.

    Errors: InputError where nothing is recognised, where the scale is missing, where a file has no
    partner, and for a layout whose LR has HR's size.
    """
    layout = recognise(Path(folder), scale, dropped)
    if layout.lr_has_hr_size:
        raise InputError(
            f"{folder} is {layout.name}, whose LR images have HR's size: write pairs at x{scale} "
            f'by ibsd.data.scaled_pairs.write_scaled_pairs("{folder}", "OUTPUT", {scale}), '
            "and name OUTPUT"
        )
    return layout


def recognise(folder: Path, scale: Scale, dropped: Collection[Path] = ()) -> Layout:
    """The layout of a folder, ready for use or not. Errors: as `find_data`."""
    if not any(
        _is_dir(folder / f"{split}_{side}")
        for split in ("train", "val", "test")
        for side in ("LR", "HR")
    ):
        for find in (find_realsr, find_drealsr, find_city100):
            if (layout := find(folder, scale, dropped)) is not None:
                return layout
        for find in (find_div2k, find_benchmark):
            if (named := find(folder, scale, dropped)) is not None:
                return Layout(*named)
        if holds_lr_and_hr(folder):
            return Layout(
                "two folders", PairSets(find_pairs(folder / "LR", folder / "HR", dropped))
            )
    return Layout(PUBLISHED, find_layout(folder, dropped))


def holds_lr_and_hr(folder: Path) -> bool:
    """Whether a folder is a plain pair of folders, LR and HR."""
    return _is_dir(folder / "LR") and _is_dir(folder / "HR") and not is_benchmark(folder)


def find_realsr(folder: Path, scale: Scale, dropped: Collection[Path] = ()) -> Layout | None:
    """RealSR, from the folder that holds Canon and Nikon (or one above it), or from one
    camera's."""
    parents = (folder, folder / "RealSR(V3)", folder / "RealSR")
    roots = [root for root in parents if _is_dir(root / "Canon") or _is_dir(root / "Nikon")]
    cameras = [folder]
    if roots:
        cameras = [roots[0] / name for name in ("Canon", "Nikon") if _is_dir(roots[0] / name)]
    scales_of = {
        camera: [*_scales_of(camera / "Train"), *_scales_of(camera / "Test")] for camera in cameras
    }
    cameras = [camera for camera in cameras if scales_of[camera]]
    if not cameras:
        return None
    if scale not in (scales := sorted({k for camera in cameras for k in scales_of[camera]})):
        raise InputError(
            f"{folder} is RealSR at scale {' and '.join(map(str, scales))}, not {scale}: "
            f"set another student.scale, or add the folders {scale}"
        )
    train, test = (
        [
            pair
            for camera in cameras
            for pair in _named(_images(camera / split / str(scale), dropped), _REALSR, folder)
        ]
        for split in _SPLITS
    )
    if not train + test:
        raise InputError(
            f"{folder} has the folders of RealSR, but no images in them, such as "
            f"{_name(cameras[0])}_001_HR.png: unpack it again"
        )
    first = (train + test)[0]
    same_size = image_size(first.lr) == image_size(first.hr)
    names = " and ".join(_name(camera) for camera in cameras)
    return Layout(
        f"RealSR {'V1 or V2' if same_size else 'V3'} ({names}) x{scale}",
        PairSets(tuple(train), (), tuple(test)),
        same_size,
    )


def find_drealsr(folder: Path, scale: Scale, dropped: Collection[Path] = ()) -> Layout | None:
    """DRealSR, from the folder that holds Train_x4 and Test_x4, or folders x2, x3, x4 with them."""
    parents = [folder, *(folder / f"x{k}" for k in SCALES)]
    scales = [
        k
        for k in SCALES
        if any(_is_dir(parent / f"{split}_x{k}") for parent in parents for split in _SPLITS)
    ]
    if not scales:
        return None
    if scale not in scales:
        raise InputError(
            f"{folder} is DRealSR at scale {' and '.join(map(str, scales))}, not {scale}: "
            f"set another student.scale, or add Train_x{scale}"
        )
    sets: list[tuple[Pair, ...]] = []
    for split in _SPLITS:
        lr, hr = (
            {
                _SCALE_MARK.sub("", file.stem): file
                for parent in parents
                for file in _images(
                    parent / f"{split}_x{scale}" / f"{split.lower()}_{side}", dropped
                )
            }
            for side in ("LR", "HR")
        )
        sets.append(_matched(lr, hr, folder))
    return Layout(f"DRealSR x{scale}", PairSets(sets[0], (), sets[1]))


def find_city100(folder: Path, scale: Scale, dropped: Collection[Path] = ()) -> Layout | None:
    """City100, from the folder that holds City100_NikonD5500 and City100_iPhoneX (or one above it),
    or from one camera's."""
    roots = (
        [folder]
        if _name(folder).startswith("City100_")
        else sorted({*folder.glob("City100_*/"), *folder.glob("City100/City100_*/")})
    )
    train: list[Pair] = []
    test: list[Pair] = []
    for root in roots:
        camera = _name(root).removeprefix("City100_")
        for pair in _named(_images(root, dropped), _CITY100, folder):
            (test if pair.name in CITY100_TEST else train).append(
                Pair(f"{camera}_{pair.name}", pair.lr, pair.hr)
            )
    if not train + test:
        return None
    if scale not in CITY100_SCALES:
        raise InputError(
            f"{folder} is City100, which serves scale 2 and 3, not {scale}: set student.scale"
        )
    cameras = " and ".join(_name(root).removeprefix("City100_") for root in roots)
    return Layout(f"City100 ({cameras})", PairSets(tuple(train), (), tuple(test)), True)


def _scales_of(folder: Path) -> list[Scale]:
    return [scale for scale in SCALES if (folder / str(scale)).is_dir()]


def _name(folder: Path) -> str:
    return folder.absolute().name  # of the working folder too


def _is_dir(folder: Path) -> bool:
    return os.path.isdir(folder)  # Path's own raises where a folder above may not be looked into


def _images(folder: Path, dropped: Collection[Path]) -> list[Path]:
    files = images_in(folder) if _is_dir(folder) else []
    return [file for file in files if file.absolute() not in dropped]


def _named(files: Iterable[Path], pattern: re.Pattern[str], folder: Path) -> tuple[Pair, ...]:
    """Pairs of files whose stems are a name and a mark for L or H. Other files are ignored."""
    sides: dict[str, dict[str, Path]] = {"L": {}, "H": {}}
    for file in files:
        if match := pattern.fullmatch(file.stem):
            sides[match[2].upper()][match[1]] = file
    return _matched(sides["L"], sides["H"], folder)


def _matched(lr: Mapping[str, Path], hr: Mapping[str, Path], folder: Path) -> tuple[Pair, ...]:
    """Pairs by name, in the order of names. InputError for a name that has one side only."""
    if alone := sorted(lr.keys() ^ hr.keys()):
        files = [{**lr, **hr}[name] for name in alone]
        first = ", ".join(map(str, files[:5]))
        raise UnmatchedError(
            f"{folder}: {counted(len(alone), 'image')} without a partner, such as {first}; "
            "unpack it again, or remove them",
            files,
        )
    return tuple(Pair(name, lr[name], hr[name]) for name in sorted(lr))
