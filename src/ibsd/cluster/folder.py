"""The folder of a manifest, on a disk or in an object store. Files appear whole, and stay."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ibsd.cluster import store
from ibsd.system import claimed, make_folder, write_whole
from ibsd.types import InputError


class Folder(Protocol):
    """What a folder on a disk and one in a store can do, by the names of files."""

    path: str

    def names(self) -> Iterable[str]: ...

    def read(self, names: list[str]) -> list[bytes]: ...

    def create(self, name: str, content: bytes, *, waits: bool = True) -> None:
        """InputError if it cannot be written. Without `waits` a store is asked once."""
        ...

    def clear(self) -> None: ...


class _OfDisk:
    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = Path(path)

    def names(self) -> list[str]:
        return os.listdir(self.folder)

    def read(self, names: list[str]) -> list[bytes]:
        return [(self.folder / name).read_bytes() for name in names]

    def create(self, name: str, content: bytes, *, waits: bool = True) -> None:
        write_whole(self.folder / name, content)

    def clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


class _OfStore:
    """Holds no lock, because a run that dies could not release it. Two runs notice each other when
    they put the same name."""

    def __init__(self, path: str) -> None:
        self.path = path

    def names(self) -> list[str]:
        return [address[len(self.path) + 1 :] for address in store.names(self.path)]

    def read(self, names: list[str]) -> list[bytes]:
        return store.read_all([f"{self.path}/{name}" for name in names])

    def create(self, name: str, content: bytes, *, waits: bool = True) -> None:
        patience = store.PATIENCE_SECONDS if waits else 0.0
        if not store.create(f"{self.path}/{name}", content, patience=patience):
            raise _another_run(self.path)

    def clear(self) -> None:
        store.remove([f"{self.path}/{name}" for name in self.names()])


@contextmanager
def folder_of(output: str, name: str) -> Generator[Folder]:
    """A folder in an output, made if need be. InputError if another run has it."""
    path = f"{output.rstrip('/')}/{name}"
    if store.is_address(output):
        yield _OfStore(path)
        return
    make_folder(Path(output))
    with claimed(Path(path)) as ours:
        if not ours:
            raise _another_run(path)
        yield _OfDisk(path)


def exists(name: str) -> bool:
    """Whether there is a file, or an object."""
    return store.exists(name) if store.is_address(name) else os.path.lexists(name)


def _another_run(folder: str) -> InputError:
    return InputError(f"another run writes into {folder}: wait for it, or choose another output")
