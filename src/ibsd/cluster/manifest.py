"""The manifest of a run: what became of each file, in a hidden folder of the output.

    OUTPUT/.manifest/settings.json       what decides the bytes of a result
    OUTPUT/.manifest/part-00000001.parquet   some rows; a part is never changed
    OUTPUT/.manifest/lock                held by the run that writes, on a disk

A row is written after its result has its name, and a part gets its name when it is whole. So every
row is true, whatever dies. At worst a row is missing; then its file is looked for, or made again.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

from ibsd.cluster.arrow import STRINGS, pa, parquet, pc
from ibsd.cluster.folder import Folder, exists, folder_of
from ibsd.cluster.store import NoAnswerError
from ibsd.system import json_text
from ibsd.types import InputError

FOLDER = ".manifest"
SETTINGS = "settings.json"
SETTLED = ("done", "skipped")
"""A file that failed is tried again by the next run."""
ROWS_OF_PART = 4096
SECONDS_OF_PART = 5.0
_PART = re.compile(r"part-\d{8}\.parquet")

State = Literal["done", "failed", "skipped"]


class Row(NamedTuple):
    """What became of one file."""

    source: str
    target: str
    state: State
    reason: str | None
    """Why it failed, in one sentence."""
    note: str | None
    """What the format of the target could not keep."""
    seconds: float
    """What the worker took, from opening the source to naming the target."""
    tries: int
    """More than 1 if workers died over it."""
    node: str
    """The machine, by Ray's name."""
    version: str
    """The version of ibsd."""
    shard: str | None = None
    """The tar in the output that holds the target, by its name in there."""


_SCHEMA = pa.schema(
    [
        ("source", STRINGS),
        ("target", STRINGS),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("note", pa.string()),
        ("seconds", pa.float32()),
        ("tries", pa.int8()),
        ("node", pa.string()),
        ("version", pa.string()),
        ("shard", pa.string()),
    ]
)


class Manifest:
    """The manifest of one output. `opened` makes it."""

    def __init__(self, folder: Folder, replaces: bool) -> None:
        self.folder = folder
        self.replaces = replaces
        """Whether files that were there before the run are to be replaced."""
        self.rows: list[Row] = []
        self.committed = time.monotonic()
        self.number = max((int(part[5:13]) for part in self.parts()), default=0)

    def add(self, row: Row) -> None:
        """Keeps a row, and writes a part now and then."""
        self.rows.append(row)
        if len(self.rows) >= ROWS_OF_PART or time.monotonic() - self.committed >= SECONDS_OF_PART:
            with suppress(NoAnswerError):  # with a later row, then
                self.commit(waits=False)

    def add_at_once(self, rows: Iterable[Row]) -> None:
        """Writes rows into one part, so that all are there or none."""
        self.rows += rows
        self.commit()

    def commit(self, *, waits: bool = True) -> None:
        """Writes the rows that are not written yet as one part."""
        self.committed = time.monotonic()
        if not self.rows:
            return
        content = io.BytesIO()
        table = pa.Table.from_pylist([row._asdict() for row in self.rows], schema=_SCHEMA)
        parquet.write_table(table, content)
        self.folder.create(f"part-{self.number + 1:08}.parquet", content.getvalue(), waits=waits)
        self.number += 1
        self.rows = []

    def parts(self) -> list[str]:
        return sorted(name for name in self.folder.names() if _PART.fullmatch(name))

    def read(self, columns: Iterable[str] = Row._fields) -> Any:
        """All parts as one table. InputError for a damaged one."""
        tables: list[Any] = []
        parts = self.parts()
        for part, content in zip(parts, self.folder.read(parts), strict=True):
            try:
                tables.append(parquet.read_table(io.BytesIO(content), columns=list(columns)))
            except (OSError, pa.ArrowException):
                raise InputError(
                    f"{self.folder.path}/{part} is damaged: remove it, and its photographs are "
                    "looked at again"
                ) from None
        return pa.concat_tables(tables) if tables else _SCHEMA.empty_table().select(list(columns))

    def unsettled(self, jobs: Any) -> Any:
        """The jobs, a table as in `Listing`, without those that are done or skipped. No file is
        looked at."""
        rows = self.read(("target", "state"))
        settled = rows.filter(pc.is_in(rows["state"], value_set=pa.array(SETTLED)))["target"]
        return jobs.filter(pc.invert(pc.is_in(jobs["target"], settled.combine_chunks())))


def is_begun(output: str) -> bool:
    """Whether a run on a cluster has written into the folder."""
    return exists(f"{output.rstrip('/')}/{FOLDER}/{SETTINGS}")


@contextmanager
def opened(
    output: str, settings: Mapping[str, object], *, force: bool = False
) -> Generator[Manifest]:
    """The manifest of a folder, for this process alone. What is added is committed at the end.

    Args:
        output: a folder, or an address in an object store.
        settings: what decides the bytes of a result. They go into the manifest with the first run.
        force: begin anew, and replace what is there.

    Errors: InputError if another run writes there, if its settings are others, or if it is damaged.
    """
    with folder_of(output, FOLDER) as folder:
        if force:
            folder.clear()
        plain = json.loads(json.dumps(settings))
        if SETTINGS in folder.names():
            before = _settings_of(folder)
            replaces = bool(before.pop("replaces", False))
            _refuse_other(plain, before, output)
        else:
            replaces = force
            folder.create(SETTINGS, json_text({**plain, "replaces": force}).encode())
        manifest = Manifest(folder, replaces)
        try:
            yield manifest
        finally:
            manifest.commit()


def _settings_of(folder: Folder) -> dict[str, Any]:
    try:
        return dict(json.loads(folder.read([SETTINGS])[0]))
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder.path}/{SETTINGS} is damaged: --force begins the run anew, or choose another "
            "folder"
        ) from None


def _refuse_other(now: Mapping[str, Any], before: Mapping[str, Any], output: str) -> None:
    changed = [
        f"{key} {before.get(key)}, now {now.get(key)}"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise InputError(
            f"{output} holds a run with other settings ({'; '.join(changed)}): "
            "choose another folder, take the same settings, or begin anew with --force"
        )
