"""The checkup of a folder of pairs before anyone trains on it for a day: what is wrong, how far LR
and HR lie apart, and what that costs.

Each problem is a finding of a pair. Some findings say that the pair should be left out of training;
`Checkup.drop` lists the files. A network learns what all pairs share, such as a constant shift.
That costs nothing, so only what goes beyond it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from ibsd.data.integrity import one_reason
from ibsd.data.layouts import Layout, find_data
from ibsd.data.pairs import Pair, PairSets, UnmatchedError, find_pairs, size_ratio
from ibsd.doctor.alignment import Misalignment
from ibsd.doctor.duplicates import PerceptualHash, near_duplicates
from ibsd.doctor.pair_checkup import (
    CheckupLimits,
    Finding,
    PairCheckup,
    check_pair,
    judge_alignment,
)
from ibsd.images import image_size
from ibsd.types import SCALES, InputError, Scale

_Matched = TypeVar("_Matched")
Checked = tuple[PairCheckup, PerceptualHash | None]
"""A pair with more findings, and its hash if it was made. The pair may be a copy."""
InTurn = Callable[
    [Callable[[PairCheckup], Checked], Sequence[PairCheckup], Callable[[int, int], None]],
    list[Checked],
]
"""(function, pairs, progress) -> the function's value for each pair, in order."""


@dataclass
class Checkup:
    """The findings of a folder."""

    layout: str
    scale: Scale
    scales: tuple[Scale, ...]
    """Scales that the folder holds."""
    pairs: list[PairCheckup]
    """Test, val and train, one after the other."""
    alone: list[Path]
    """Files without a partner, or with several."""
    common: Misalignment
    """Median over `measured`."""

    @property
    def drop(self) -> dict[Path, str]:
        """{file: why} of what should be left out of training, in the order of the pairs."""
        reasons = dict.fromkeys(self.alone, "no partner of the same name")
        for checkup in self.pairs:
            if why := [finding.sentence for finding in checkup.findings if finding.drops]:
                files = (checkup.pair.lr, checkup.pair.hr)
                reasons |= dict.fromkeys(files, f"{checkup.pair.name}: {'; '.join(why)}")
        return reasons

    def counts(self) -> dict[str, int]:
        """{kind of finding: pairs that have it}."""
        counts = Counter(
            kind
            for checkup in self.pairs
            for kind in dict.fromkeys(finding.kind for finding in checkup.findings)
        )
        return dict(counts) | ({"no partner": len(self.alone)} if self.alone else {})

    @property
    def one_reason(self) -> str:
        """The first finding's sentence, where every pair has that problem and no other; else
        ""."""
        problems = {
            checkup.pair: [finding.sentence for finding in checkup.findings]
            for checkup in self.pairs
        }
        return one_reason(problems) if all(problems.values()) else ""

    def measured(self) -> list[Misalignment]:
        """Misalignments of the pairs where they mean anything."""
        return [pair.misalignment for pair in self.pairs if pair.misalignment and pair.alignable]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that do not exist are None."""
        return {
            "layout": self.layout,
            "scale": self.scale,
            "scales": list(self.scales),
            "counts": self.counts(),
            "common": {
                "down_px": self.common.down_px,
                "right_px": self.common.right_px,
                "degrees": self.common.degrees,
            },
            "alone": [str(file) for file in self.alone],
            "drop": {str(file): why for file, why in self.drop.items()},
            "pairs": [checkup.as_json() for checkup in self.pairs],
        }


def check_folder(
    folder: Path | None = None,
    lr: Path | None = None,
    hr: Path | None = None,
    scale: Scale | None = None,
    limits: CheckupLimits | None = None,
    on_pair: Callable[[int, int], None] = lambda done, total: None,
    in_turn: InTurn | None = None,
) -> Checkup:
    """Checks a folder of pairs in any known layout, or two folders.

    Args:
        scale: of the pairs to check; by default the one that the pictures have, the largest where
            there are several.
        limits: what counts as wrong; by default `CheckupLimits()`.
        on_pair: called with (pairs done, pairs in all) after each pair.
        in_turn: makes a function's values for all pairs; by default one after the other, here.

    Errors: InputError where there is nothing to check. A problem with single files is a finding.
    """
    limits = limits or CheckupLimits()
    alone: list[Path] = []
    if lr is not None and hr is not None:
        layouts = _two_folders(lr, hr, alone)
    else:
        assert folder is not None
        layouts = _layouts(folder, alone)
    scales = fitting_scales(layouts)
    if scale is not None and scale not in layouts:
        raise InputError(
            f"{folder}: holds no pairs at scale {scale}; "
            f"there are {', '.join(map(str, scales or layouts))}"
        )
    scale = scale or max(scales or layouts)
    layout = layouts[scale]
    if not layout.sets.all():
        raise InputError(
            f"{folder or lr}: holds no pairs to examine; name the folder that holds them"
        )
    # Test comes before val and val before train, so that train's duplicates are dropped.
    splits = {"test": layout.sets.test, "val": layout.sets.val, "train": layout.sets.train}
    checkups = [PairCheckup(pair, split) for split, pairs in splits.items() for pair in pairs]
    in_turn = in_turn or _in_turn
    checked = in_turn(partial(_checked, scale, limits), checkups, on_pair)
    checkups = [checkup for checkup, _ in checked]
    hashes = [picture for _, picture in checked]
    files = list(dict.fromkeys(alone))
    result = Checkup(layout.name, scale, scales, checkups, files, Misalignment(0.0, 0.0, 0.0))
    result.common = common_part(result.measured())
    judge = partial(_judged, result.common, scale, limits)
    judged = in_turn(judge, checkups, lambda done, total: None)
    result.pairs = [checkup for checkup, _ in judged]
    mark_duplicates(result.pairs, hashes)
    return result


def _in_turn(
    function: Callable[[PairCheckup], Checked],
    checkups: Sequence[PairCheckup],
    on_pair: Callable[[int, int], None],
) -> list[Checked]:
    values: list[Checked] = []
    for done, checkup in enumerate(checkups, start=1):
        values.append(function(checkup))
        on_pair(done, len(checkups))
    return values


def _checked(scale: Scale, limits: CheckupLimits, checkup: PairCheckup) -> Checked:
    return checkup, check_pair(checkup, scale, limits)


def _judged(
    common: Misalignment, scale: Scale, limits: CheckupLimits, checkup: PairCheckup
) -> Checked:
    judge_alignment(checkup, common, scale, limits)
    return checkup, None


def _two_folders(lr: Path, hr: Path, alone: list[Path]) -> dict[Scale, Layout]:
    """Two folders serve every scale; the pictures' sizes decide."""
    pairs = _without_unmatched(lambda dropped: find_pairs(lr, hr, dropped), alone)
    return dict.fromkeys(SCALES, Layout("two folders", PairSets(train=pairs)))


def _layouts(folder: Path, alone: list[Path]) -> dict[Scale, Layout]:
    """The layout at every scale at which the folder can be read."""
    layouts: dict[Scale, Layout] = {}
    refused: InputError | None = None
    for scale in SCALES:

        def find(dropped: Collection[Path], scale: Scale = scale) -> Layout:
            return find_data(folder, scale, dropped)

        try:
            layouts[scale] = _without_unmatched(find, alone)
        except InputError as error:
            refused = refused or error
    if refused is not None and not layouts:
        raise refused
    return layouts


def _without_unmatched(find: Callable[[Collection[Path]], _Matched], alone: list[Path]) -> _Matched:
    """What `find` gives once the files that it cannot match are left out. They are added to
    `alone`."""
    dropped: set[Path] = set()
    while True:
        try:
            return find(dropped)
        except UnmatchedError as error:
            alone += error.files
            dropped |= {file.absolute() for file in error.files}


def fitting_scales(layouts: dict[Scale, Layout]) -> tuple[Scale, ...]:
    """The scales at which most of the first pictures' sizes fit."""
    fitting: list[Scale] = []
    for scale, layout in layouts.items():
        ratios = [
            ratio for pair in layout.sets.all()[:25] if (ratio := _scale_of(pair)) is not None
        ]
        if ratios and median(ratios) == scale:
            fitting.append(scale)
    return tuple(fitting)


def _scale_of(pair: Pair) -> int | None:
    try:
        return size_ratio(image_size(pair.lr), image_size(pair.hr))
    except InputError:
        return None


def common_part(misalignments: Sequence[Misalignment]) -> Misalignment:
    """Medians of shift and rotation."""
    if not misalignments:
        return Misalignment(0.0, 0.0, 0.0)
    return Misalignment(
        median(misalignment.down_px for misalignment in misalignments),
        median(misalignment.right_px for misalignment in misalignments),
        median(misalignment.degrees for misalignment in misalignments),
    )


def mark_duplicates(
    checkups: Sequence[PairCheckup], hashes: Sequence[PerceptualHash | None]
) -> None:
    """Notes a finding for each HR picture that shows what an earlier one shows."""
    usable = [index for index, picture in enumerate(hashes) if picture is not None]
    matches = near_duplicates([picture for picture in hashes if picture is not None])
    for earlier, later in matches:
        original = checkups[usable[earlier]]
        copy = checkups[usable[later]]
        sentence = f"the same picture as {original.pair.name}"
        if original.split != copy.split:
            copy.findings.append(Finding("leak", f"{sentence} in {original.split}", True))
        else:
            copy.findings.append(Finding("copy", sentence, copy.split == "train"))
