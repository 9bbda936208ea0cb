"""One scene of `ibsd register`: two photographs become pairs, a page and a record."""

from __future__ import annotations

import glob
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import ibsd
from ibsd.data.pairs import Pair
from ibsd.images.rgb import write_rgb
from ibsd.registration.coarse import CoarseMatch
from ibsd.registration.crops import choose_crops, cut
from ibsd.registration.light import read_photograph
from ibsd.registration.matching import MatchBy
from ibsd.registration.scene import register_pair
from ibsd.registration.splits import Split
from ibsd.reporting.registration import scene_page
from ibsd.system import write_whole
from ibsd.types import InputError, Scale, require

SCENES = "scenes"
"""The folder of pages and records."""
_WORKERS = 2
_MOST_PENDING = 64
"""Images that wait to be written."""


@dataclass(frozen=True)
class RegisterOptions:
    """What a run makes of its photographs."""

    scale: Scale | None = None
    """None for the scale nearest to the median of the first scenes."""
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
        fits = self.match in get_args(MatchBy)
        require("match", self.match, fits, "auto, name, time or order")
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


class StoppedError(Exception):
    """The run has ended while a scene was made."""


Scene = tuple[Pair, Split, CoarseMatch | None]
"""Photographs, their set, and their match where it is known."""


def one_scene(
    output: Path,
    scale: Scale,
    options: RegisterOptions,
    scene: Scene,
    stopped: Callable[[], bool] = lambda: False,
) -> SceneRecord:
    """Registers one scene and writes its pairs and its page. StoppedError soon after `stopped`."""

    def check() -> None:
        if stopped():
            raise StoppedError

    pair, split, match = scene
    started = time.monotonic()
    record = new_record(pair, split)
    try:
        with ThreadPoolExecutor(_WORKERS) as workers:
            lr, hr = workers.map(read_photograph, (pair.lr, pair.hr))
        check()
        registered = register_pair(lr, hr, scale, match)
    except InputError as error:
        record.refused = str(error)
        record.seconds = time.monotonic() - started
        return record
    crops = choose_crops(registered, lr, options.crop_px, options.crops)
    folders = {side: output / f"{split}_{side}" for side in ("LR", "HR")}
    if crops.places:
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
    with ThreadPoolExecutor(_WORKERS) as workers:
        pending: deque[Future[None]] = deque()
        for place, lr_crop, hr_crop in cut(registered, lr, hr, crops.places, options.crop_px):
            check()
            name = f"{pair.name}-y{place.top:05}-x{place.left:05}.png"
            for side, pixels in (("LR", lr_crop), ("HR", hr_crop)):
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


def new_record(pair: Pair, split: Split) -> SceneRecord:
    return SceneRecord(pair.name, str(pair.lr), str(pair.hr), split, stamps_of(pair))


def remove_crops(output: Path, scene: str) -> None:
    for side in ("LR", "HR"):
        for file in output.glob(f"*_{side}/{glob.escape(scene)}-y?????-x?????.png"):
            file.unlink()


def stamps_of(pair: Pair) -> list[int]:
    statuses = [file.stat() for file in (pair.lr, pair.hr)]
    return [value for status in statuses for value in (status.st_size, status.st_mtime_ns)]
