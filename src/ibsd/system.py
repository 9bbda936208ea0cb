"""The machine: memory this process holds, what it runs out of, files written whole or not at all,
and the process's one filter of warnings."""

from __future__ import annotations

import errno
import os
import resource
import secrets
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ibsd.types import InputError


def resident_bytes() -> int:
    """Of this process now; where /proc is missing, the largest so far."""
    try:
        return (
            int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            * resource.getpagesize()
        )
    except OSError:
        return largest_resident_bytes()


def largest_resident_bytes() -> int:
    """The most that this process held at once, since it started or since Linux was asked to count
    anew (`comparison.machine`)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        # Linux hands ru_maxrss on from the process that started this one; VmHWM begins anew.
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1 if sys.platform == "darwin" else 1024
        )


NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of a disk that is full, and of limits that stand for one."""
NO_MEMORY = (
    "the memory does not suffice: take smaller pictures, data.batch_size or --tile, close other programs, or raise the limit (ulimit -v); "
    "a training goes on with --resume"
)
_NO_MEMORY = (
    "allocate memory",  # torch on the CPU, and the system; "can't" or "cannot" before
    "not enough memory",
    "out of memory",  # CUDA, libvips
    "bad_alloc",  # C++
    "failed to map segment",  # of a library that is loaded
    "can't start new thread",  # its stack finds no room
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that memory ran out."""
    return any(
        isinstance(each, MemoryError) or any(words in str(each).lower() for words in _NO_MEMORY)
        for each in _chain(error)
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a full disk."""
    return _full(error) is not None


def exhausted(error: BaseException) -> str | None:
    """The sentence for the user if that is what an error is about: what ran out, where, and what to
    do."""
    if full := _full(error):
        where = f" to {full.filename}" if full.filename else ""
        return f"nothing more can be written{where} ({full.strerror}): free some space and run it again, a training with --resume"
    return NO_MEMORY if is_out_of_memory(error) else None


def _full(error: BaseException) -> OSError | None:
    return next(
        (each for each in _chain(error) if isinstance(each, OSError) and each.errno in NO_SPACE),
        None,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def write_whole(
    path: str | os.PathLike[str], content: bytes | str | Callable[[IO[bytes]], None]
) -> None:
    """Writes bytes, text (UTF-8) or what a function writes: beside `path`, then renamed over it, so
    that no part of a file is ever seen.

    The folder must exist. Errors: InputError if the disk is full or the place cannot be written to;
    what was there before stays.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.partial")
    try:
        # Not tempfile: its files are readable by their owner only, and the rename would keep that.
        with open(partial, "xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error).strip().rstrip(".") or type(error).__name__
        raise InputError(
            f"{path} cannot be written ({reason}): free some space, choose another place, or allow writing there"
        ) from error
    finally:
        with suppress(
            OSError
        ):  # in a folder that cannot be written to the error on its way says so
            partial.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes the folder where it is missing, and tries it with a file. InputError if it cannot be
    made or written to."""
    probe = folder / f".{secrets.token_hex(8)}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written to ({error.strerror or error}): choose another place, or allow writing there"
        ) from None


_warnings_lock = threading.RLock()


@contextmanager
def quiet_warnings(*errors: type[Warning]) -> Generator[None]:
    """Ignores warnings inside, and raises those of the kinds `errors`.

    One thread at a time, because Python keeps one list of filters for all threads.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for category in errors:
            warnings.simplefilter("error", category)
        yield
