"""`ibsd doctor` without a terminal: the checkup of a folder and its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

import ibsd
from ibsd.cluster import Failed
from ibsd.doctor.checkup import Checked, Checkup, InTurn, check_folder
from ibsd.doctor.drop_list import drop_list
from ibsd.doctor.pair_checkup import CheckupLimits, Finding, PairCheckup
from ibsd.reporting.doctor import doctor_page
from ibsd.system import json_text, write_whole
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
    with ExitStack() as stack:
        if cluster is not None:
            from ibsd.cluster.engine import connected

            stack.enter_context(connected(cluster))  # once for both turns
            in_turn = partial(_on_cluster, cluster)
        return check_folder(pairs, lr, hr, scale, limits, on_pair, in_turn)


def _on_cluster(
    address: str,
    function: Callable[[PairCheckup], Checked],
    checkups: Sequence[PairCheckup],
    on_pair: Callable[[int, int], None],
) -> list[Checked]:
    """An `InTurn`. A pair over which a task fails is "unchecked"."""
    from ibsd.cluster.tasks import values_on_cluster

    checked: list[Checked] = []
    made = values_on_cluster(address, function, checkups, on_pair)
    for checkup, value in zip(checkups, made, strict=True):
        if isinstance(value, Failed):
            checkup.findings.append(Finding("unchecked", value.reason, True))
            value = checkup, None
        checked.append(value)
    return checked


def write_checkup(checkup: Checkup, folder: Path, title: str, pairs: Path | None) -> None:
    """Writes `NAMES` into the folder. Paths in `drop.txt` are relative to `pairs`."""
    page = doctor_page(title, checkup, ibsd.__version__)
    contents = (json_text(checkup.as_json()), page, drop_list(checkup.drop, pairs))
    for name, content in zip(NAMES, contents, strict=True):
        write_whole(folder / name, content)
