"""Makes a folder of pairs from two folders of photographs, scene by scene. The record of a scene is
written last. A stopped run goes on with the scenes that have no record."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import ibsd
from ibsd.cluster import Failed
from ibsd.commands.register_scene import (
    SCENES,
    RegisterOptions,
    Scene,
    SceneRecord,
    new_record,
    one_scene,
    remove_crops,
    stamps_of,
)
from ibsd.commands.threads import on_threads
from ibsd.data.pairs import Pair
from ibsd.images import open_photograph
from ibsd.registration.coarse import CoarseMatch, coarse_match
from ibsd.registration.fine import grid_of
from ibsd.registration.light import read_photograph
from ibsd.registration.matching import match_files
from ibsd.registration.opencv import require_opencv
from ibsd.registration.scene import DIFFERENT, RefusedError, chosen_scale, coarse_mapping
from ibsd.registration.splits import Split, assign_splits
from ibsd.reporting.registration import run_page
from ibsd.system import free_bytes, make_folder, num_cores, write_json, write_whole
from ibsd.types import InputError, Scale

RECORD = "register.json"
PAGE = "register.html"
_SCENES_FOR_SCALE = 3
_BYTES_A_PIXEL = 25
"""Most memory that a scene takes for each pixel of both photographs."""
_MOST_CROSSED = 6
"""So many refused scenes are tried with each other's partners."""


@dataclass
class RegisterResult:
    """What became of all scenes."""

    matched: str
    scale: Scale
    scenes: list[SceneRecord]
    output: Path
    num_failed: int = 0
    """Scenes that a cluster could not make. The next run tries them again."""

    @property
    def num_crops(self) -> int:
        return sum(len(scene.crops) for scene in self.scenes)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "matched": self.matched,
            "scale": self.scale,
            "output": str(self.output),
            "pairs": self.num_crops,
            "scenes": [asdict(scene) for scene in self.scenes],
        }


def register_folders(
    hr_folder: Path,
    lr_folder: Path,
    output: Path,
    options: RegisterOptions | None = None,
    on_scene: Callable[[SceneRecord, int, int], None] = lambda record, done, total: None,
    log: Callable[[str], None] = lambda sentence: None,
    cluster: str | None = None,
    jobs: int = 1,
) -> RegisterResult:
    """Registers the scenes of two folders and writes pairs into `output`, in the published layout,
    with a page for the run and one for each scene.

    Args:
        on_scene: called with (record, scenes done, scenes in all) after each scene.
        log: called with remarks.
        cluster: "local" or the address of a Ray cluster, where each scene is then a task. One that
            fails is refused, and nothing of it stays.
        jobs: scenes at a time on this machine; 0 for as many as its cores and memory allow.
            Results are the same.

    Errors: InputError before anything is written: OpenCV or photographs are missing, `output` holds
    something else, or it was begun with other options. A scene that cannot be registered is
    recorded, and the others go on.
    """
    require_opencv()
    options = options or RegisterOptions()
    matched = match_files(hr_folder, lr_folder, options.match)
    log(matched.sentence())
    plan = _plan(output, options)
    records = _finished(output, matched.pairs)
    known: dict[str, Split] = {name: record.split for name, record in records.items()}
    splits = assign_splits([pair.name for pair in matched.pairs], options.val, options.test, known)
    matches: dict[str, CoarseMatch] = {}
    scale: Scale | None = options.scale or plan.get("scale")
    if scale is None:
        scale = _measured_scale(matched.pairs, matches)
        log(f"scale x{scale}, as measured")
    make_folder(output / SCENES)
    plan = {"version": ibsd.__version__, "options": asdict(options), "scale": scale}
    write_json(output / RECORD, plan)
    to_do: list[Scene] = []
    for pair in matched.pairs:
        if pair.name not in records:
            to_do.append((pair, splits[pair.name], matches.pop(pair.name, None)))
    for done, record in enumerate(records.values(), start=1):
        on_scene(record, done, len(matched.pairs))

    num_failed = 0

    def keep(number: int, made: SceneRecord | Failed) -> None:
        nonlocal num_failed
        if isinstance(made, Failed):
            num_failed += 1
            pair, split, _ = to_do[number]
            record = new_record(pair, split)
            record.refused = made.reason
            remove_crops(output, pair.name)
        else:
            record = made
            write_json(output / SCENES / f"{record.name}.json", asdict(record))
        records[record.name] = record
        on_scene(record, len(records), len(matched.pairs))

    register = partial(one_scene, output, scale, options)
    if cluster is None:
        on_threads(register, to_do, jobs or _jobs_that_fit(to_do), keep)
    else:
        from ibsd.cluster.tasks import on_cluster

        on_cluster(register, to_do, cluster, keep)
    scenes = [records[pair.name] for pair in matched.pairs]
    result = RegisterResult(matched.sentence(), scale, scenes, output, num_failed)
    for sentence in _crossed(
        [pair for pair in matched.pairs if DIFFERENT in records[pair.name].refused]
    ):
        log(sentence)
    write_whole(output / PAGE, run_page(output.absolute().name, result.as_json(), ibsd.__version__))
    return result


def _plan(output: Path, options: RegisterOptions) -> dict[str, Any]:
    """What an earlier run of the same kind wrote into `output`, or nothing."""
    if not os.path.lexists(output):
        return {}
    if not output.is_dir():
        raise InputError(f"{output} is a file: name a folder for the pairs")
    record = output / RECORD
    if not record.is_file():
        if any(output.iterdir()):
            raise InputError(
                f"{output} holds other files, which stay as they are: name a new folder"
            )
        return {}
    plan = _read_json(record)
    begun: dict[str, Any] = plan.get("options") or {}
    others = [
        f"{name} {begun.get(name)}, not {value}"
        for name, value in asdict(options).items()
        if begun.get(name) != value
    ]
    if others:
        raise InputError(
            f"{output} was begun with other options ({'; '.join(others)}): "
            "repeat them, or name a new folder"
        )
    return plan


def _finished(output: Path, pairs: tuple[Pair, ...]) -> dict[str, SceneRecord]:
    """Records of the scenes that are done. A refused scene whose photographs changed is tried
    again."""
    records: dict[str, SceneRecord] = {}
    for pair in pairs:
        file = output / SCENES / f"{pair.name}.json"
        if not file.is_file():
            continue
        try:
            record = SceneRecord(**_read_json(file))
        except TypeError as error:
            raise InputError(f"{file} is no record of a scene: remove it") from error
        if record.stamps == stamps_of(pair):
            records[pair.name] = record
        elif not record.refused:
            raise InputError(
                f"the photographs of {pair.name} changed after their pairs were written: "
                "name a new folder"
            )
    return records


def _measured_scale(pairs: tuple[Pair, ...], matches: dict[str, CoarseMatch]) -> Scale:
    """The scale that the first matched scenes show. Their matches go into `matches`."""
    ratios: list[float] = []
    refused: InputError | None = None
    different: list[Pair] = []
    for pair in pairs:
        try:
            lr = read_photograph(pair.lr)
            hr = read_photograph(pair.hr)
            matches[pair.name] = coarse_match(lr, hr)
            mapping = coarse_mapping(lr, hr, matches[pair.name])
            ratios.append(mapping.ratio(grid_of(mapping.box)))
        except RefusedError as error:
            refused = refused or InputError(f"{pair.lr} and {pair.hr}: {error}")
            if DIFFERENT in str(error):
                different.append(pair)
        except InputError as error:  # it names its file
            refused = refused or error
        if len(ratios) == _SCENES_FOR_SCALE:
            break
    if not ratios:
        assert refused is not None
        advice = "".join(f"; {sentence}" for sentence in _crossed(different)[:1])
        raise InputError(f"no scene can be matched; the first one, {refused}{advice}")
    return chosen_scale(median(ratios))


def _jobs_that_fit(scenes: Sequence[Scene]) -> int:
    """Scenes at a time that cores and memory allow, if all are as large as the first."""
    pixels = 0
    for pair, _, _ in scenes[:1]:
        for file in (pair.lr, pair.hr):
            with suppress(InputError):  # said when its turn comes
                header = open_photograph(file).header
                pixels += header.height * header.width
    return max(1, min(len(scenes), num_cores(), free_bytes() // (_BYTES_A_PIXEL * pixels + 1)))


def _crossed(different: list[Pair]) -> list[str]:
    """Sentences on photographs that fit the partner of another pair, a sign of a wrong order. None
    of the pairs fits."""
    pairs = different[:_MOST_CROSSED]
    sentences: list[str] = []
    photographs = {file: read_photograph(file) for pair in pairs for file in (pair.lr, pair.hr)}
    for pair in pairs:
        for other in pairs:
            if other is pair:
                continue
            if coarse_match(photographs[pair.lr], photographs[other.hr]).sufficient:
                sentences.append(
                    f"{pair.lr} fits {other.hr}: the order is wrong, or a photograph is missing; "
                    "rename them so that partners have the same name"
                )
    return sentences


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}): remove it") from error
    return content if isinstance(content, dict) else {}
