"""What a machine runs out of, memory and space on the disk: told from other errors, whoever raised them, and said in a sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator

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
    return any(isinstance(each, MemoryError) or any(words in str(each).lower() for words in _NO_MEMORY) for each in _chain(error))


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a full disk."""
    return _full(error) is not None


def exhausted(error: BaseException) -> str | None:
    """The sentence for the user if that is what an error is about: what ran out, where, and what to do."""
    if full := _full(error):
        where = f" to {full.filename}" if full.filename else ""
        return f"nothing more can be written{where} ({full.strerror}): free some space and run it again, a training with --resume"
    return NO_MEMORY if is_out_of_memory(error) else None


def _full(error: BaseException) -> OSError | None:
    return next((each for each in _chain(error) if isinstance(each, OSError) and each.errno in NO_SPACE), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
