"""The list of files to leave out of training: written by `ibsd doctor`, edited by hand, and named
by the config key `data.drop`.

One path a line, relative to the folder of pairs or absolute. Lines that begin with # are remarks. A
name that a line cannot hold, such as one with a line break, is a JSON string.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ibsd.types import InputError


def drop_list(reasons: Mapping[Path, str], folder: Path | None) -> str:
    """The text of a list: each file under its reason; paths inside `folder` relative to it."""
    lines = [
        f"# {len(reasons)} files to leave out; delete a line to keep its file "
        "(and its partner's, or the pair cannot be matched)"
    ]
    root = None if folder is None else folder.absolute()
    last_reason = ""
    for file, reason in reasons.items():
        if reason != last_reason:
            lines.append(f"# {' '.join(reason.split())}")
            last_reason = reason
        file = file.absolute()
        if root is not None and file.is_relative_to(root):
            file = file.relative_to(root)
        lines.append(_line(file.as_posix()))
    return "\n".join(lines) + "\n"


def _line(name: str) -> str:
    plain = name.isprintable() and name == name.strip() and name[:1] not in ("#", '"')
    return name if plain else json.dumps(name)


def _name(line: str) -> str:
    with suppress(ValueError):  # written by hand
        if line.startswith('"'):
            return str(json.loads(line))
    return line


def read_drop_list(
    path: str | os.PathLike[str], folder: str | os.PathLike[str] = ""
) -> frozenset[Path]:
    """Absolute paths of a list; relative ones lie in `folder`.

    Errors: InputError where the list cannot be read, and where none of its files exists: the list
    is then most likely another folder's.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as a list of files to leave out ({error}); "
            "give the drop.txt of ibsd doctor"
        ) from None
    names = [_name(line) for line in map(str.strip, lines) if line and not line.startswith("#")]
    try:
        files = frozenset(Path(folder, name).absolute() for name in names)
        there = any(os.path.exists(file) for file in files)
    except ValueError as error:  # a null byte in a name
        raise InputError(
            f"{path}: holds a name that no file can have ({error}); "
            "give the drop.txt of ibsd doctor"
        ) from None
    if files and not there:
        raise InputError(
            f"{path}: none of its {len(files)} files is in {folder or 'its place'}; "
            "is it the list of another folder?"
        )
    return files
