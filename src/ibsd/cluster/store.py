"""Object stores, by addresses such as s3://bucket/folder/name.jpg.

fsspec brings the stores, and each takes its credentials from the environment. No sentence here
repeats what a store's library says, so none can hold a credential. A put shows an object whole or
not at all.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from ibsd.types import InputError
from ibsd.upscaling.file_jobs import FileJob

PATIENCE_SECONDS = 300.0
"""How long a run waits for a store that stops answering."""
FIRST_PATIENCE_SECONDS = 10.0
"""How long a run waits for a store at its start."""
_LONGEST_WAIT_SECONDS = 15.0
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^/@]+(/.*)?", re.DOTALL)
_FOREVER = frozenset(
    getattr(errno, name)
    for name in ("EINVAL", "EPERM", "ENOSYS", "ENAMETOOLONG", "EMSGSIZE", "ENOSPC")
)
"""Numbers of errors that waiting does not end."""
_OF_THE_NETWORK = ("OSError", "HTTPClientError", "ConnectionError", "ResponseParserError")
"""Names of errors that waiting may end; some are botocore's."""
_Value = TypeVar("_Value")


class NoAnswerError(InputError):
    """A store does not answer. It ends the run."""


def is_address(name: str) -> bool:
    """Whether it names an object, and not a file."""
    return "://" in name


def check_address(address: str) -> None:
    """InputError for what is none, or may hold a credential."""
    if not _ADDRESS.fullmatch(address):
        raise InputError(
            "an address of an object store is wrong: it is PROTOCOL://BUCKET/NAME, and credentials "
            "come from the environment"
        )


def check_answers(address: str) -> None:
    """InputError for a wrong address, and for a store that does not answer or refuses."""
    check_address(address)
    exists(address, patience=FIRST_PATIENCE_SECONDS)


def exists(address: str, *, patience: float = PATIENCE_SECONDS) -> bool:
    """Whether there is an object, or one whose name begins with this folder's."""
    return bool(_asked(address, lambda store: store.exists(address), patience))


def names(address: str, *, pattern: bool = False) -> list[str]:
    """Addresses of the objects in a folder and its subfolders, of the object itself, or of those
    that a pattern matches. InputError if there is no such bucket."""
    start = re.split(r"[*?\[]", address)[0] if pattern else address

    def found(store: Any) -> list[str]:
        length = len(store._strip_protocol(start))
        paths = store.glob(address) if pattern else store.find(address)
        return [start.rstrip("/") + path[length:] for path in paths]

    return _asked(address, found)


def size(address: str) -> int:
    """Bytes of the object."""
    return _asked(address, lambda store: store.size(address))


def read(address: str) -> bytes:
    """The whole object."""
    return _asked(address, lambda store: store.cat_file(address))


def read_all(addresses: list[str]) -> list[bytes]:
    """Many objects at once."""
    if not addresses:
        return []

    def found(store: Any) -> list[bytes]:
        contents = store.cat(addresses)
        return [contents[store._strip_protocol(address)] for address in addresses]

    return _asked(addresses[0], found)


def create(address: str, content: bytes, *, patience: float = PATIENCE_SECONDS) -> bool:
    """Puts an object that was not there. False if there is one of other content."""

    def put(store: Any) -> bool:
        try:
            store.pipe_file(address, content, mode="create")
        except FileExistsError:  # perhaps by a try whose answer was lost
            return store.cat_file(address) == content
        return True

    return _asked(address, put, patience)


def remove(addresses: list[str]) -> None:
    """Removes objects."""
    if addresses:
        _asked(addresses[0], lambda store: store.rm(addresses))


@contextmanager
def local_job(source: str, target: str) -> Generator[FileJob]:
    """Files of this machine for a source and a target that may be objects. The source's is
    fetched."""
    if not (is_address(source) or is_address(target)):
        yield FileJob(Path(source), Path(target))
        return
    with tempfile.TemporaryDirectory(prefix="ibsd-") as folder:

        def here(name: str, kind: str) -> Path:
            return Path(folder, kind + os.path.splitext(name)[1] if is_address(name) else name)

        job = FileJob(here(source, "source"), here(target, "target"))
        if is_address(source):
            _asked(source, lambda store: store.get_file(source, str(job.source)))
        yield job


def put(path: Path, address: str) -> None:
    """Puts a file, in the place of what is there."""
    _asked(address, lambda store: store.put_file(str(path), address))


def _asked(
    address: str, ask: Callable[[Any], _Value], patience: float = PATIENCE_SECONDS
) -> _Value:
    """The store's answer. Network trouble is waited for, and all else becomes an InputError."""
    until = time.monotonic() + patience
    wait = 0.5
    while True:
        try:
            return ask(_store(address.partition("://")[0]))
        except Exception as error:
            left = until - time.monotonic()
            if not _may_pass(error):
                raise _refusal(address, error) from (error if isinstance(error, OSError) else None)
            if left <= 0:
                raise NoAnswerError(
                    f"{address} is not reached ({type(error).__name__}): check the network, and "
                    "run it again"
                ) from None
            time.sleep(min(wait, left))
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


def _store(protocol: str) -> Any:
    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in ("s3", "s3a"):  # the waits are ours
        options["config_kwargs"] = {"retries": {"max_attempts": 0}}
    return import_module("fsspec").filesystem(protocol, **options)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, FileNotFoundError | FileExistsError | PermissionError):
        return False
    return getattr(error, "errno", None) not in _FOREVER and any(
        each.__name__ in _OF_THE_NETWORK for each in type(error).__mro__
    )


def _refusal(address: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{address} does not exist: check the name")
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return InputError(
            f"{address} is refused: check the credentials in the environment of every machine"
        )
    if isinstance(error, ImportError | ValueError):
        return InputError(
            f"{address.partition('://')[0]}:// is no store that fsspec opens here: check the "
            "address, or install its package"
        )
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else type(error).__name__
    advice = "free some space" if number == errno.ENOSPC else "check the address"
    return InputError(f"{address} cannot be read or written ({reason}): {advice}")
