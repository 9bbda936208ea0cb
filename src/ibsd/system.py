"""The machine: memory, full disks, files written whole, the user's cache folder, and the filter of
warnings."""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import secrets
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from ibsd.types import InputError

# -- memory and cores


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resident_bytes() -> int:
    """Memory of this process now. Where /proc is missing, the largest so far."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return largest_resident_bytes()
    return int(pages) * mmap.PAGESIZE


def largest_resident_bytes() -> int:
    """The most memory of this process at once, since its start or since `comparison.machine` reset
    the count."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        # ru_maxrss is inherited from the process that started this one; VmHWM begins anew.
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        import resource  # not on Windows, where upscaling does without

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_bytes() -> int:
    """Memory of the machine that can still be allocated."""
    with suppress(OSError, ValueError):  # Linux counts what caches would give back
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        [kib] = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
        return 1024 * int(kib)
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):  # macOS knows the second alone
        with suppress(AttributeError, OSError, ValueError):
            return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    return 4 * 2**30  # Windows tells neither


# -- what the machine runs out of

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, and of limits that stand for one."""
NO_MEMORY = (
    "memory ran out: take smaller images, data.batch_size or --tile, close other programs, or "
    "raise the limit (ulimit -v); continue a training with --resume"
)
OUT_OF_MEMORY_WORDS = (
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
        isinstance(cause, MemoryError)
        or any(words in str(cause).lower() for words in OUT_OF_MEMORY_WORDS)
        for cause in causes(error)
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a full disk."""
    return disk_full_error(error) is not None


def exhausted(error: BaseException) -> str | None:
    """The sentence for the user if memory or disk space ran out. None for any other error."""
    if full := disk_full_error(error):
        place = f" to {full.filename}" if full.filename else ""
        return (
            f"nothing more can be written{place} ({full.strerror}): free some space and run it "
            "again, a training with --resume"
        )
    return NO_MEMORY if is_out_of_memory(error) else None


def disk_full_error(error: BaseException) -> OSError | None:
    """The error of a full disk among an error and its causes."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in NO_SPACE:
            return cause
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, its cause, the cause of that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


# -- files


def write_whole(
    path: str | os.PathLike[str], content: bytes | str | Callable[[IO[bytes]], None]
) -> None:
    """Writes bytes, text (UTF-8) or what a function writes, beside `path`, and renames it, so that
    nobody sees a part of a file. The folder must exist.

    Errors: InputError if it cannot be written. An older file stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f"{partial_beginning(path)}{secrets.token_hex(4)}.partial")
    try:
        # Not tempfile: its files are readable by their owner only, and the rename would keep that.
        with open(partial, "xb") as file:
            if callable(content):
                content(file)
            else:
                if isinstance(content, str):  # names of files may hold bytes that are no UTF-8
                    content = content.encode(errors="backslashreplace")
                file.write(content)
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error).strip().rstrip(".") or type(error).__name__
        too_long = error.errno == errno.ENAMETOOLONG
        advice = "free some space, choose another place, or allow writing there"
        raise InputError(
            f"{path} cannot be written ({reason}): {'shorten it' if too_long else advice}"
        ) from error
    finally:
        with suppress(OSError):  # the folder cannot be written to: the error above says so
            partial.unlink(missing_ok=True)


def partial_beginning(path: Path) -> str:
    """How the names of the parts begin that `write_whole` writes beside `path`. No name may have
    more than 255 bytes."""
    return f".{os.fsencode(path.name)[:200].decode(errors='ignore')}."


def finite(value: Any) -> Any:
    """A value as JSON can hold it: infinities become text, which `float` reads, tuples lists."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value)
        return {key: finite(item) for key, item in pairs.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in cast("Sequence[Any]", value)]
    return value


def finite_or_none(value: float | None) -> float | None:
    """A figure as JSON can hold it: None for infinities."""
    return value if value is not None and math.isfinite(value) else None


def json_text(content: Any) -> str:
    """The text of a JSON file."""
    return json.dumps(content, indent=1) + "\n"


def write_json(path: Path, content: Any) -> None:
    """`write_whole`, as JSON."""
    write_whole(path, json_text(content))


def require_utf8(path: Path) -> None:
    """InputError for a name that is not UTF-8: safetensors and ONNX Runtime take no other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{path}: weights and models cannot lie there, because the name is not UTF-8: rename it"
        ) from None


def refuse_existing(paths: Iterable[Path], force: bool) -> None:
    """InputError if an output is a folder, or exists and `force` is not set."""
    for path in paths:
        if os.path.isdir(path):
            raise InputError(f"{path} is a folder: choose a file for the output")
        if os.path.lexists(path) and not force:
            raise InputError(f"{path} exists already: choose another output, or add --force")


def make_folder(folder: Path) -> None:
    """Makes the folder where it is missing, and writes a file there as a test.

    Errors: InputError if the folder cannot be made or written to.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise InputError(
            f"{folder} cannot be written to, it is no folder: move it away, or choose another place"
        )
    probe = folder / f".{secrets.token_hex(8)}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written to ({error.strerror or error}): "
            "choose another place, or allow writing there"
        ) from None


@contextmanager
def claimed(folder: Path) -> Generator[bool]:
    """Whether this process has `folder` to itself meanwhile. The system lets go of the claim when
    the process ends, however it ends. Windows, and file systems without locks, know no claims."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a") as file:
        yield _is_first(file)


def _is_first(file: IO[str]) -> bool:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


# -- the user's cache folder


def cache_folder() -> Path:
    """The folder of ibsd in the user's cache, made if need be; see `is_private`. OSError where
    there can be none."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ibsd"
    except RuntimeError as error:  # a user without a home
        raise OSError(str(error)) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def is_private(folder: Path) -> bool:
    """Whether the folder is the user's, and nobody else may write there, or put another folder in
    its place."""
    return is_own(os.lstat(folder)) and not any(
        status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        for status in map(os.stat, folder.absolute().parents)
    )


def is_own(status: os.stat_result) -> bool:
    """`is_private` by the status of a file or a folder."""
    is_known = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)  # no link, no pipe
    if not hasattr(os, "geteuid"):  # Windows, where a user's folder is private
        return is_known
    return is_known and status.st_uid == os.geteuid() and not status.st_mode & 0o022


# -- warnings

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
