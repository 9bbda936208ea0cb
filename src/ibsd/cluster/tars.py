"""Results in tars, as WebDataset reads them: OUTPUT/shard-000000.tar and so on, of NAME.EXT.

Workers write loose files beside the manifest. This process fills one tar after the other with them.
A tar gets its name when it is whole. Then one part of the manifest names the tar for all its files.
Then the loose files are removed. So whatever dies, each result is in a tar that the manifest names,
or still loose, or made again.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from ibsd.cluster import store
from ibsd.cluster.arrow import pc
from ibsd.cluster.manifest import FOLDER, Manifest, Row
from ibsd.cluster.store import is_address
from ibsd.cluster.worker import Result, remove_partials
from ibsd.system import write_whole
from ibsd.types import InputError

BYTES = 256 * 2**20
"""A tar with so many bytes takes no more files."""
_NAME = re.compile(r"shard-\d{6}\.tar")


class Tars:
    """The tars of one run.

    Args:
        output: a folder, absolute, or an address.
        manifest: the output's. It gets the rows of results as soon as their tar is whole.
    """

    def __init__(self, output: str, manifest: Manifest) -> None:
        self.output = output.rstrip("/")
        self.manifest = manifest
        self.folder = f"{self.output}/{FOLDER}/loose"
        self.rows: list[Row] = []
        """Rows of loose results."""
        self.num_bytes = 0
        last = pc.max(manifest.read(["shard"])["shard"]).as_py()
        self.number = int(last[6:12]) + 1 if last else 0
        unnamed = [name for name in tars_in(self.output) if name >= self.name]
        _remove([f"{self.output}/{name}" for name in unnamed])
        remove_partials(self.path)

    @property
    def name(self) -> str:
        """The name of the tar that comes next."""
        return f"shard-{self.number:06}.tar"

    @property
    def path(self) -> str:
        return f"{self.output}/{self.name}"

    def loose(self, target: str) -> str:
        """Where a worker writes what becomes `target`, which is in the output."""
        return self.folder + target[len(self.output) :]

    def target(self, loose: str) -> str:
        """The target of what a worker wrote to `loose`."""
        return self.output + loose[len(self.folder) :]

    def named(self, result: Result) -> Result:
        """What is said of a loose result, with the name of its tar."""
        error, note = (
            said and said.replace(self.folder, self.output) for said in (result.error, result.note)
        )
        return replace(result, target=self.path, error=error, note=note)

    def add(self, row: Row) -> None:
        """Takes a result that is loose, and writes a tar if there are enough."""
        path = self.loose(row.target)
        self.num_bytes += store.size(path) if is_address(path) else os.path.getsize(path)
        self.rows.append(row)
        if self.num_bytes >= BYTES:
            self.write()

    def finish(self) -> None:
        """Writes the last tar. Nothing stays loose."""
        if self.rows:
            self.write()
        if not is_address(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
        elif names := store.names(self.folder):
            _remove(names)

    def write(self) -> None:
        """Writes what is loose into a tar. InputError if it cannot be written."""
        if is_address(self.path):
            with tempfile.TemporaryDirectory(prefix="ibsd-") as folder:
                write_whole(Path(folder, self.name), self._fill)
                store.put(Path(folder, self.name), self.path)
        else:
            write_whole(self.path, self._fill)
        self.manifest.add_at_once([row._replace(shard=self.name) for row in self.rows])
        _remove([self.loose(row.target) for row in self.rows])
        self.number += 1
        self.rows, self.num_bytes = [], 0

    def _fill(self, file: IO[bytes]) -> None:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for row in sorted(self.rows):
                path = self.loose(row.target)
                content = store.read(path) if is_address(path) else Path(path).read_bytes()
                member = tarfile.TarInfo(row.target[len(self.output) + 1 :])
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def tars_in(output: str) -> list[str]:
    """Names of the tars of a run."""
    if is_address(output):
        names = [address[len(output) + 1 :] for address in store.names(output)]
    else:
        names = os.listdir(output) if os.path.isdir(output) else []
    return [name for name in names if _NAME.fullmatch(name)]


def refuse_existing_tars(output: str) -> None:
    """InputError if the output holds tars of a run."""
    if names := tars_in(output.rstrip("/")):
        raise InputError(
            f"{output}/{names[0]} exists already: choose another output, or --force to replace it."
        )


def _remove(paths: Sequence[str]) -> None:
    if paths and is_address(paths[0]):
        store.remove([*paths])
        return
    for path in paths:
        os.unlink(path)
