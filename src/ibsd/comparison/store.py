"""The finished runs of a comparison and their examinations, in one compressed file.

`runs.jsonl.xz` holds one row a run or examination: JSON lines, sorted by name, compressed by xz.
Equal rows give equal bytes, in whatever order they came. Rows hold no path. Scores are rounded to
6 decimals, logged values to 6 digits. Everything but `cost` and `machine` comes out bit for bit the
same when the run is made again on the same kind of CPU, however often it was interrupted.
"""

from __future__ import annotations

import fcntl
import json
import lzma
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ibsd.comparison.identity import NUMERICS_PREFIX, Identity, RunRequest, departures
from ibsd.system import finite, write_whole
from ibsd.training.result import FINISHED
from ibsd.types import InputError

FILE = "runs.jsonl.xz"
FORMAT = 2

RowName = tuple[str, str, int, str, str]
"""Setting, arm, seed, kind and key: equal configs may stand under two names."""


@dataclass(frozen=True)
class TestScores:
    """One test set under one run: a figure per image, metric and kind of weights."""

    role: str
    """`seen` or `unseen`: whether training saw images of this kind."""
    images: tuple[str, ...]
    patches: tuple[int, ...]
    """Weight of each image under `realsr-testm`."""
    bicubic: dict[str, float]
    """{protocol.metric: mean}."""
    scores: dict[str, dict[str, tuple[float, ...]]]
    """{"ema" or "raw": {protocol.metric: one figure per image}}."""
    bicubic_images: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """{protocol.metric: one figure per image}; empty in rows that are older than it."""
    parts: dict[str, int] = field(default_factory=dict)
    """{part: number of its images, in their order} of a mean over test sets, which no row holds."""


@dataclass(frozen=True)
class RunRecord:
    """A run that is over."""

    identity: Identity
    outcome: str
    """`finished`, or why the run was given up."""
    pairing: dict[str, Any]
    """What a fair comparison rests on: `initial_weights`, `batches` (and at `marks`), `num_steps`,
    and whether it `keeps_data_order`."""
    tests: dict[str, TestScores] = field(default_factory=dict)
    final: dict[str, Any] = field(default_factory=dict)
    """Last logged mean of each term, and the numbers of skipped steps and of alarms."""
    diagnostics: dict[str, list[Any]] = field(default_factory=dict)
    """{"step": [...], name: [value at each of these steps]}; None where it was not logged."""
    inference: dict[str, Any] = field(default_factory=dict)
    """Of the saved weight file: `parameters`, `layout` (hash of names, shapes and types) and
    `weights` (hash of the values)."""
    cost: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.outcome == FINISHED


@dataclass(frozen=True)
class Examination:
    """What the features of one finished run give away."""

    key: str
    """The run's key."""
    asked: dict[str, Any]
    """Options and images that it depends on besides the run."""
    view: dict[str, Any]
    """How estimators saw the nodes, and the floor of the run's own. Only runs of one view are
    compared by decomposition."""
    reading: dict[str, Any]
    """`Reading.as_json()`."""
    probes: dict[str, Any] = field(default_factory=dict)
    """{"student": `ProbeResult` as a dict}, and for the baseline RANDOM_WEIGHTS and PIXELS too;
    empty without classes."""


class Store:
    """The rows in `folder`, as they were when it was opened or last added to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[RunRecord] = []
        self.examinations: dict[str, Examination] = {}
        """{key of the run: its examination}"""
        self._rows: dict[RowName, dict[str, Any]] = {}
        self.read()

    @property
    def path(self) -> Path:
        return self.folder / FILE

    def read(self) -> None:
        """Reads the file again. InputError naming it if it is damaged or of another format."""
        try:
            text = lzma.decompress(self.path.read_bytes()).decode() if self.path.is_file() else ""
            rows = [json.loads(line) for line in text.splitlines()]
            if formats := {row["format"] for row in rows} - {FORMAT}:
                raise InputError(
                    f"{self.path}: has format {formats.pop()!r}, and this version reads {FORMAT}; "
                    "use the version that wrote it"
                )
            self._rows = {_row_name(row): row for row in rows}
            self.records = [_record(row) for row in rows if row["kind"] == "run"]
            self.examinations = {
                row["key"]: _build(Examination, row) for row in rows if row["kind"] != "run"
            }
        except InputError:
            raise
        except (OSError, EOFError, lzma.LZMAError, ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{self.path}: cannot be read as runs ({type(error).__name__}: {error}); "
                "restore it, or remove it, and its runs will be made again"
            ) from None

    def find(self, request: RunRequest, any_numerics: bool = False) -> RunRecord | None:
        """The latest run that may stand for the one that is asked for.

        `any_numerics`: if there is none, the latest that differs in `NUMERICS` alone.
        """
        name = request.identity.name
        matches: list[RunRecord] = []
        others: list[RunRecord] = []
        for record in self.records:
            if record.identity.name == name:
                changes = departures(request, record.identity)
                if not changes:
                    matches.append(record)
                elif all(change.startswith(NUMERICS_PREFIX) for change in changes):
                    others.append(record)
        matches = matches or (others if any_numerics else [])
        return max(matches, key=lambda record: record.machine.get("finished", ""), default=None)

    def add(self, record: RunRecord) -> None:
        """Writes a run down; one of the same name and key is replaced."""
        table = asdict(record)
        self._add("run", record.identity, {**table.pop("identity"), **table})

    def add_examination(self, identity: Identity, examination: Examination) -> None:
        """Writes the examination of a run down, in place of an earlier one."""
        name = {"setting": identity.setting, "arm": identity.arm, "seed": identity.seed}
        self._add("examination", identity, name | asdict(examination))

    def _add(self, kind: str, identity: Identity, content: dict[str, Any]) -> None:
        """Adds to what is in the file now: other processes may have added rows meanwhile."""
        row = {"format": FORMAT, "kind": kind, "key": identity.key} | content
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder):
            self.read()
            self._rows[_row_name(row)] = row
            write_whole(self.path, _compressed(self._rows))
            self.read()


def _row_name(row: Mapping[str, Any]) -> RowName:
    return row["setting"], row["arm"], row["seed"], row["kind"], row["key"]


def _compressed(rows: Mapping[RowName, dict[str, Any]]) -> bytes:
    lines = (
        json.dumps(finite(rows[name]), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
        for name in sorted(rows)
    )
    return lzma.compress("".join(f"{line}\n" for line in lines).encode())


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Waits until no other process is within; the system unlocks when a process ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


Row = TypeVar("Row")


def _build(kind: type[Row], row: Mapping[str, Any], **parts: Any) -> Row:
    names = [item.name for item in fields(kind)]  # pyright: ignore[reportArgumentType]
    return kind(**{name: row[name] for name in names if name not in parts}, **parts)


def _record(row: Mapping[str, Any]) -> RunRecord:
    tests = {name: _test_scores(table) for name, table in row["tests"].items()}
    return _build(RunRecord, row, identity=_build(Identity, row), tests=tests)


def _test_scores(table: Mapping[str, Any]) -> TestScores:
    scores = {weights: _image_figures(metrics) for weights, metrics in table["scores"].items()}
    bicubic = {name: float(value) for name, value in table["bicubic"].items()}
    of_bicubic = _image_figures(table.get("bicubic_images", {}))
    names, patches = tuple(table["images"]), tuple(table["patches"])
    return TestScores(table["role"], names, patches, bicubic, scores, of_bicubic)


def _image_figures(table: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    return {metric: tuple(map(float, values)) for metric, values in table.items()}
