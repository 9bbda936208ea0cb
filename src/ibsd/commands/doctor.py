"""`ibsd doctor` without a terminal: the checkup of a folder and its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import ibsd
from ibsd.doctor.checkup import Checkup, InTurn, check_folder
from ibsd.doctor.drop_list import drop_list
from ibsd.doctor.pair_checkup import CheckupLimits
from ibsd.reporting.doctor import doctor_page
from ibsd.system import make_folder, write_whole
from ibsd.types import Scale

NAMES = ("doctor.json", "doctor.html", "drop.txt")


def examine_pairs(
    pairs: Path | None,
    lr: Path | None,
    hr: Path | None,
    scale: Scale | None,
    max_shift_px: float,
    on_pair: Callable[[int, int], None],
    cluster: str | None = None,
) -> Checkup:
    """`check_folder` on one thread: images are small, and more threads wait for each other. With
    `cluster` each pair is a task on the machines there."""
    torch.set_num_threads(1)
    limits = CheckupLimits(shift_px=max_shift_px)
    in_turn: InTurn | None = None
    if cluster is not None:
        from ibsd.cluster.tasks import values_on_cluster

        in_turn = partial(values_on_cluster, cluster)
    return check_folder(pairs, lr, hr, scale, limits, on_pair, in_turn)


def as_text(checkup: Checkup) -> str:
    """The text of `doctor.json`."""
    return json.dumps(checkup.as_json(), indent=1) + "\n"


def write_checkup(checkup: Checkup, folder: Path, title: str, pairs: Path | None) -> None:
    """Writes `NAMES` into the folder. Paths in `drop.txt` are relative to `pairs`."""
    make_folder(folder)
    page = doctor_page(title, checkup, ibsd.__version__)
    contents = (as_text(checkup), page, drop_list(checkup.drop, pairs))
    for name, content in zip(NAMES, contents, strict=True):
        write_whole(folder / name, content)
