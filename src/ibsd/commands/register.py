"""Two folders of photographs become a folder of pairs, scene by scene. A scene is done when its
record is written, last of all; a stopped run goes on with the scenes that have none."""

from __future__ import annotations

import glob
import json
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import ibsd
from ibsd.cluster import Failed
from ibsd.data.pairs import Pair
from ibsd.images.rgb import write_rgb
from ibsd.registration.coarse import CoarseMatch, coarse_match
from ibsd.registration.crops import choose_crops, cut
from ibsd.registration.fine import grid_of
from ibsd.registration.light import read_photograph
from ibsd.registration.matching import MatchBy, match_files
from ibsd.registration.opencv import require_opencv
from ibsd.registration.scene import (
    DIFFERENT,
    RefusedError,
    chosen_scale,
    coarse_mapping,
    register_pair,
)
from ibsd.registration.splits import Split, assign_splits
from ibsd.reporting.registration import run_page, scene_page
from ibsd.system import make_folder, write_whole
from ibsd.types import InputError, Scale, require

RECORD = "register.json"
PAGE = "register.html"
SCENES = "scenes"
_SCENES_FOR_SCALE = 3
_WORKERS = 2
_MOST_PENDING = 64
"""Images that wait to be written."""
_MOST_CROSSED = 6
"""Refused scenes whose photographs are tried with each other's partners."""


@dataclass(frozen=True)
class RegisterOptions:
    """What a run makes of its photographs."""

    scale: Scale | None = None
    """By default the one nearest to the median of the first scenes."""
    match: MatchBy = "auto"
    crop_px: int = 128
    """Side of a crop of LR."""
    crops: int = 0
    """Most crops of a scene; 0 for all that fit."""
    val: float = 0.1
    """Share of the scenes."""
    test: float = 0.1

    def __post_init__(self) -> None:
        if self.scale is not None:
            require("scale", self.scale, self.scale in (2, 3, 4), "2, 3 or 4")
        require(
            "match",
            self.match,
            self.match in ("auto", "name", "time", "order"),
            "auto, name, time or order",
        )
        require("crop_px (--crop)", self.crop_px, self.crop_px >= 16, "16 or more")
        require("crops", self.crops, self.crops >= 0, "0 or more")
        for name, share in (("val", self.val), ("test", self.test)):
            require(name, share, 0 <= share < 0.5, "at least 0 and below 0.5")


@dataclass
class SceneRecord:
    """What became of one scene."""

    name: str
    lr: str
    hr: str
    split: Split
    stamps: list[int]
    """Bytes and time of change of both photographs."""
    refused: str = ""
    """Why the photographs do not fit; empty where they do."""
    remark: str = ""
    ratio: float | None = None
    corner_px: float | None = None
    correlation: float | None = None
    matches: int | None = None
    rest: tuple[float, float] | None = None
    """Root mean square of what is left in levels of 255, under the coarse match and at the end."""
    shares: dict[str, float] = field(default_factory=dict[str, float])
    """{use: share of the common part}."""
    crops: list[str] = field(default_factory=list[str])
    dropped: dict[str, int] = field(default_factory=dict[str, int])
    """{why: crops that were left out}."""
    seconds: float = 0.0


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


_Scene = tuple[Pair, Split, CoarseMatch | None]
"""Photographs, their set, and their match where it is known."""


def register_folders(
    hr_folder: Path,
    lr_folder: Path,
    output: Path,
    options: RegisterOptions | None = None,
    on_scene: Callable[[SceneRecord, int, int], None] = lambda record, done, total: None,
    log: Callable[[str], None] = lambda sentence: None,
    cluster: str | None = None,
) -> RegisterResult:
    """Registers the scenes of two folders and writes pairs into `output`, in the published layout,
    with a page for the run and one for each scene.

    Args:
        on_scene: called with (record, scenes done, scenes in all) after each scene.
        log: called with remarks.
        cluster: "local" or the address of a Ray cluster, where each scene is then a task. One that
            fails is refused, and nothing of it stays.

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
    _write_json(output / RECORD, plan)
    to_do: list[_Scene] = []
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
            record = _begun(pair, split)
            record.refused = made.reason
            _remove_crops(output, pair.name)
        else:
            record = made
            _write_json(output / SCENES / f"{record.name}.json", asdict(record))
        records[record.name] = record
        on_scene(record, len(records), len(matched.pairs))

    register = partial(_one_scene, output, scale, options)
    if cluster is None:
        for number, scene in enumerate(to_do):
            keep(number, register(scene))
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
        if record.stamps == _stamps(pair):
            records[pair.name] = record
        elif not record.refused:
            raise InputError(
                f"the photographs of {pair.name} changed after their pairs were written: "
                "name a new folder"
            )
    return records


def _stamps(pair: Pair) -> list[int]:
    statuses = [file.stat() for file in (pair.lr, pair.hr)]
    return [value for status in statuses for value in (status.st_size, status.st_mtime_ns)]


def _measured_scale(pairs: tuple[Pair, ...], matches: dict[str, CoarseMatch]) -> Scale:
    """From the first scenes that can be matched. Their matches are kept in `matches`."""
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


def _one_scene(output: Path, scale: Scale, options: RegisterOptions, scene: _Scene) -> SceneRecord:
    """Registers one scene and writes its pairs and its page."""
    pair, split, match = scene
    started = time.monotonic()
    record = _begun(pair, split)
    try:
        with ThreadPoolExecutor(_WORKERS) as workers:
            lr, hr = workers.map(read_photograph, (pair.lr, pair.hr))
        registered = register_pair(lr, hr, scale, match)
    except InputError as error:
        record.refused = str(error)
        record.seconds = time.monotonic() - started
        return record
    crops = choose_crops(registered, lr, options.crop_px, options.crops)
    folders = {side: output / f"{split}_{side}" for side in ("LR", "HR")}
    with ThreadPoolExecutor(_WORKERS) as workers:
        pending: deque[Future[None]] = deque()
        for place, lr_crop, hr_crop in cut(registered, lr, hr, crops.places, options.crop_px):
            name = f"{pair.name}-y{place.top:05}-x{place.left:05}.png"
            for side, pixels in (("LR", lr_crop), ("HR", hr_crop)):
                folders[side].mkdir(exist_ok=True)
                pending.append(workers.submit(write_rgb, folders[side] / name, pixels))
            while len(pending) > _MOST_PENDING:
                pending.popleft().result()
            record.crops.append(name)
        for written in pending:
            written.result()
    record.remark = registered.remark()
    record.ratio = registered.ratio
    record.corner_px = registered.corner_px
    record.correlation = registered.correlation
    record.matches = registered.num_matches
    record.rest = registered.rest_levels()
    record.shares = registered.shares()
    record.dropped = crops.dropped
    page = scene_page(pair.name, registered, lr, hr, crops, options.crop_px, ibsd.__version__)
    write_whole(output / SCENES / f"{pair.name}.html", page)
    record.seconds = time.monotonic() - started
    return record


def _begun(pair: Pair, split: Split) -> SceneRecord:
    return SceneRecord(pair.name, str(pair.lr), str(pair.hr), split, _stamps(pair))


def _remove_crops(output: Path, scene: str) -> None:
    for side in ("LR", "HR"):
        for file in output.glob(f"*_{side}/{glob.escape(scene)}-y?????-x?????.png"):
            file.unlink()


def _crossed(different: list[Pair]) -> list[str]:
    """Which photographs of these pairs, of which none fits, fit another's partner: signs of a wrong
    order."""
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


def _write_json(file: Path, content: dict[str, Any]) -> None:
    write_whole(file, json.dumps(content, indent=1) + "\n")
