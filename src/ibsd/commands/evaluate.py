"""`ibsd evaluate` without a terminal: which weights and pairs are meant, and their scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ibsd.cluster import Failed
from ibsd.system import finite, json_text, write_whole
from ibsd.types import InputError, counted
from ibsd.weights import named_or_file

if TYPE_CHECKING:
    import torch

    from ibsd.data.pairs import Pair
    from ibsd.evaluation.scores import ScoreRow, ScoreTable
    from ibsd.students import Student
    from ibsd.types import Scale

Split = Literal["test", "val", "train", "all"]
Means = dict[str, dict[str, dict[str, float]]]
"""{method: {protocol: {metric: mean over the images}}}"""


def find_split(
    folder: Path, split: Split | None, scale: Scale, log: Callable[[str], None]
) -> tuple[Pair, ...]:
    """The pairs of a split of a folder in any known layout, or with LR and HR in it. InputError if
    the split is missing."""
    from ibsd.data.layouts import PUBLISHED, find_data, holds_lr_and_hr
    from ibsd.data.pairs import find_pairs

    if holds_lr_and_hr(folder):
        if split not in (None, "all"):
            raise InputError(f"{folder} holds LR and HR and no {split}_LR: leave out --split")
        return find_pairs(folder / "LR", folder / "HR")
    wanted = split or "test"
    lr = folder / f"{wanted}_LR"
    hr = folder / f"{wanted}_HR"
    if lr.is_dir() and hr.is_dir():  # what is wrong with the other sets does not matter here
        return find_pairs(lr, hr)
    layout = find_data(folder, scale)
    sets = layout.sets
    if layout.name != PUBLISHED:
        log(layout.sentence())
    pairs: tuple[Pair, ...] = sets.all() if wanted == "all" else getattr(sets, wanted)
    if not pairs:
        there = " or ".join(
            f"--split {name}" for name in ("test", "val", "train") if getattr(sets, name)
        )
        raise InputError(f"{folder} holds no {wanted}_LR and {wanted}_HR: add them, or {there}")
    return pairs


def load_students(files: Sequence[Path], device: str) -> dict[str, Student]:
    """The networks of weight files on a device, by the names that tables show."""
    from ibsd.inference.device import choose_device
    from ibsd.students import load_student

    torch_device = choose_device(device)
    return {
        name: load_student(file).to(torch_device)
        for name, file in zip(method_names(files), files, strict=True)
    }


def common_scale(files: Sequence[Path], students: Sequence[Student]) -> Scale:
    """The scale of all networks. InputError if they differ."""
    scale = students[0].spec.scale
    for file, student in zip(files, students, strict=True):
        if student.spec.scale != scale:
            raise InputError(
                f"{files[0]} is for x{scale} and {file} for x{student.spec.scale}: score them apart"
            )
    return scale


def method_names(files: Sequence[Path]) -> list[str]:
    """Short names that differ: the file's, with its folder's, or the whole path."""
    stems = [file.stem for file in files]
    with_folders = [f"{file.absolute().parent.name}/{file.stem}" for file in files]
    for names in (stems, with_folders, [str(file) for file in files]):
        if len(set(names)) == len(names) and "bicubic" not in names:
            return names
    raise InputError(
        f"{', '.join(map(str, files))}: a weight file twice, or one named bicubic; name each once"
    )


def score_pairs(
    students: dict[str, Student],
    pairs: Sequence[Pair],
    scale: Scale,
    lpips: bool,
    on_image: Callable[[int, int], None],
    log: Callable[[str], None],
) -> ScoreTable:
    """Checks the pairs and scores the networks on them. `on_image` takes (done, total), `log` a
    sentence about cropped images."""
    from ibsd.data.integrity import check_pairs
    from ibsd.evaluation.scores import evaluate

    check_pairs(pairs, scale, log=log)

    def progress(done: int, name: str) -> None:
        on_image(done, len(pairs))

    return evaluate(students, pairs, scale, device_of(students), lpips, progress)


def score_on_cluster(
    files: Sequence[Path],
    pairs: Sequence[Pair],
    scale: Scale,
    lpips: bool,
    address: str,
    on_image: Callable[[int, int], None],
) -> tuple[ScoreTable, dict[str, str]]:
    """`score_pairs` on the cores of a cluster, a task for each pair.

    Returns: the table, and {pair: why} of those that cannot be scored. InputError if none can.
    """
    from ibsd.cluster.tasks import values_on_cluster
    from ibsd.evaluation.scores import ScoreTable

    score = partial(score_one, tuple(files), scale, lpips)
    made = values_on_cluster(address, score, pairs, on_image)
    failed = {
        pair.name: rows.reason
        for pair, rows in zip(pairs, made, strict=True)
        if isinstance(rows, Failed)
    }
    if len(failed) == len(pairs):
        raise InputError(unscored(failed, len(pairs)))
    rows = (row for rows in made if not isinstance(rows, Failed) for row in rows)
    return ScoreTable(scale, tuple(rows)), failed


def unscored(failed: dict[str, str], total: int) -> str:
    """The sentence about pairs that cannot be scored."""
    from ibsd.data.pairs import listed

    many = f"{len(failed)} of {counted(total, 'pair')} cannot be scored"
    lines = [f"{name}: {reason}" for name, reason in failed.items()]
    return listed(f"{many}; repair or remove:", lines)


def score_one(
    files: tuple[Path, ...], scale: Scale, lpips: bool, pair: Pair
) -> tuple[ScoreRow, ...] | Failed:
    """The rows of one pair, or why there are none. The networks stay open in this process."""
    from ibsd.evaluation.scores import evaluate

    students = opened_students(files)
    try:
        check_one(pair, scale)
        return evaluate(students, [pair], scale, "cpu", lpips).rows
    except InputError as error:
        return Failed(str(error))


@lru_cache(maxsize=1)
def opened_students(files: tuple[Path, ...]) -> dict[str, Student]:
    """`load_students`, once."""
    return load_students(files, "cpu")


def check_one(pair: Pair, scale: Scale) -> None:
    """`check_pairs` of one, in its own words."""
    from ibsd.data.integrity import digest_pairs, pair_problems

    if problems := pair_problems(pair, scale, digest_pairs([pair])):
        raise InputError("; ".join(problem.rstrip(".") for problem in problems))


def score_matrix(
    students: dict[str, Student],
    folder: Path,
    scale: Scale,
    lpips: bool,
    on_family: Callable[[int, int], None],
) -> tuple[dict[str, Means], str]:
    """The means under each family of degradations, and the text of `matrix.json`. `on_family` takes
    (done, total)."""
    from ibsd.data.degraded_patches import find_photographs
    from ibsd.data.presets import FAMILIES
    from ibsd.evaluation.matrix import degradation_matrix

    names = list(FAMILIES)
    tables = degradation_matrix(
        students,
        find_photographs(folder),
        scale,
        device=device_of(students),
        lpips=lpips,
        on_family=lambda name: on_family(names.index(name) + 1, len(names)),
    )
    means = {family: table.means for family, table in tables.items()}
    return means, json_text(finite(means))


def device_of(students: dict[str, Student]) -> torch.device:
    return next(next(iter(students.values())).parameters()).device


def scores_with_places(
    table: ScoreTable, files: Sequence[Path], pairs: Sequence[Pair], failed: dict[str, str]
) -> str:
    """The text of `scores.json`: the table, and where weights and images lie, for the page. With
    `failed` if there are any: {pair without scores: why}."""
    weights = [str(named_or_file(file).absolute()) for file in files]
    places: dict[str, Any] = {
        "weights": dict(zip(method_names(files), weights, strict=True)),
        "pairs": [
            [pair.name, str(pair.lr.absolute()), str(pair.hr.absolute())]
            for pair in pairs
            if pair.name not in failed
        ],
    }
    if failed:
        places["failed"] = failed
    return json_text(json.loads(table.to_json()) | places)


def write_texts(targets: Sequence[Path], texts: Sequence[str]) -> None:
    """Writes each text into its file, if there are any."""
    for target, text in zip(targets, texts, strict=False):
        write_whole(target, text)
