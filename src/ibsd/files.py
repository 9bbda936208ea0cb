"""Writing a file whole or not at all, and the folder that it goes into."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from ibsd.types import InputError


def write_whole(path: str | os.PathLike[str], content: bytes | str | Callable[[IO[bytes]], None]) -> None:
    """Writes bytes, text (UTF-8) or what a function writes: beside `path`, then renamed over it, so that no part of a file is ever seen.

    The folder must exist. Errors: InputError if the disk is full or the place cannot be written to; what was there before stays.
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
        raise InputError(f"{path} cannot be written ({reason}): free some space, choose another place, or allow writing there") from error
    finally:
        with suppress(OSError):  # in a folder that cannot be written to the error on its way says so
            partial.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes the folder where it is missing, and tries it with a file. InputError if it cannot be made or written to."""
    probe = folder / f".{secrets.token_hex(8)}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written to ({error.strerror or error}): choose another place, or allow writing there"
        ) from None
