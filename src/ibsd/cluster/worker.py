"""The part of an upscaling run that runs on the machines of the cluster."""

from __future__ import annotations

import os
import platform
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import ibsd
from ibsd.cluster.folder import exists
from ibsd.cluster.store import NoAnswerError, is_address, local_job, put
from ibsd.inference.network import Network
from ibsd.system import exhausted, is_disk_full, make_folder, partial_beginning
from ibsd.types import InputError
from ibsd.upscaling.folders import upscale_job
from ibsd.upscaling.size import NETWORK_SIZE, Size
from ibsd.upscaling.strips import TileSize, tiles_for


@dataclass(frozen=True)
class Upscaling:
    """How each file is upscaled; as in `upscale_files`."""

    open: Callable[[], Network]
    """Opens the network; called once in each worker."""
    tile: TileSize = "auto"
    size: Size = NETWORK_SIZE
    quality: int = 95
    first_frame: bool = False
    keep_existing: bool = False
    """Whether to skip a file whose target exists. Otherwise the target is replaced."""


@dataclass(frozen=True)
class Result:
    """A `FileResult`, by names or addresses."""

    source: str
    target: str
    error: str | None = None
    note: str | None = None
    skipped: bool = False
    pixels: int = 0


class Made(NamedTuple):
    """What became of one file, and where."""

    result: Result
    seconds: float
    node: str


class Worker:
    """An actor: one process that holds the opened network. Each call takes one file."""

    def __init__(self, upscaling: Upscaling, version: str) -> None:
        self.upscaling = upscaling
        self.version = version
        self.node = platform.node()
        self.folders: set[Path] = set()

    def open(self) -> None:
        """InputError for another version of ibsd, or for a network that cannot be opened here."""
        check_version(self.version)
        self.network = self.upscaling.open()
        tiles_for(self.upscaling.tile, self.network)

    def upscale(self, source: str, target: str) -> Made:
        """InputError only if the disk is full, or a store does not answer: it ends the run."""
        started = time.perf_counter()
        result = self._result(source, target)
        return Made(result, time.perf_counter() - started, self.node)

    def measure(self, source: str, target: str) -> tuple[float, int] | str:
        """Seconds and bytes of a result that is thrown away, or why there is none."""
        with tempfile.TemporaryDirectory() as folder:
            name = f"made{os.path.splitext(target)[1]}"
            made = self.upscale(source, os.path.join(folder, name))
            return made.result.error or (made.seconds, os.path.getsize(made.result.target))

    def _result(self, source: str, target: str) -> Result:
        how = self.upscaling
        error = note = None
        pixels = 0
        try:
            if how.keep_existing and exists(target):
                return Result(source, target, skipped=True)
            with local_job(source, target) as job:
                if not is_address(target) and job.target.parent not in self.folders:
                    make_folder(job.target.parent)
                    self.folders.add(job.target.parent)
                made = upscale_job(
                    job,
                    self.network,
                    tile=how.tile,
                    size=how.size,
                    quality=how.quality,
                    force=True,
                    first_frame=how.first_frame,
                )
                error, note = (
                    said and said.replace(str(job.source), source).replace(str(job.target), target)
                    for said in (made.error, made.note)
                )
                pixels = made.pixels
                if is_address(target) and error is None:
                    put(job.target, target)
        except InputError as sentence:
            if is_disk_full(sentence) or isinstance(sentence, NoAnswerError):
                raise
            error = str(sentence)  # its folder cannot be made, or there is no such object
        except Exception as defect:  # of ours: the others go on
            error = f"{source}: {said_of(defect)}"
        return Result(source, target, error, note, pixels=0 if error else pixels)


def said_of(defect: Exception) -> str:
    """A defect of ours in one sentence, and where it is; or that memory ran out."""
    if sentence := exhausted(defect):
        return sentence
    words = str(defect).strip().splitlines()
    place = traceback.extract_tb(defect.__traceback__)[-1]
    return (
        f"{type(defect).__name__} {words[0] if words else ''} (line {place.lineno} of "
        f"{os.path.basename(place.filename)}); this is a defect of ibsd, please report it"
    )


def check_version(version: str) -> None:
    """InputError if this machine has another version of ibsd."""
    if ibsd.__version__ != version:
        raise InputError(
            f"{platform.node()} has ibsd {ibsd.__version__}, not {version} as here: "
            "install the same version on every machine"
        )


def remove_partials(target: str) -> None:
    """Removes what a dead worker left of this file. In a store it left nothing."""
    if is_address(target):
        return
    path = Path(target)
    beginning = partial_beginning(path)
    with suppress(OSError):
        for other in os.scandir(path.parent):
            if other.name.startswith(beginning) and other.name.endswith(".partial"):
                os.unlink(other.path)
