"""Which weights the page offers, and what is known of each without reading it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ibsd.types import InputError, Scale
from ibsd.weights import SHIPPED, weights_file

SUFFIXES = (".safetensors", ".pth", ".pt", ".xml", ".onnx")
MOST_HEADER_BYTES = 10_000_000


@dataclass
class Choice:
    """Weights to pick."""

    name: str
    """As the page calls them."""
    file: Path
    scale: Scale | None = None
    """None until a worker has opened the file."""
    network: str = ""
    aim: str = ""
    """Of weights that ibsd brings."""


def find_choices(paths: Sequence[Path]) -> dict[str, Choice]:
    """{key: choice} of weight files and folders of them, or of what ibsd brings. InputError for a
    path that holds none."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            here = sorted(
                file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file()
            )
            if not here:
                raise InputError(
                    f"{path} holds no weights ({', '.join(SUFFIXES)}): name another folder, or a weight file"
                )
            files += here
        elif path.is_file() and path.suffix in SUFFIXES:
            files.append(path)
        else:
            what = (
                f"is no weight file ({', '.join(SUFFIXES)})" if path.exists() else "does not exist"
            )
            raise InputError(f"{path} {what}: check the name")
    if not files:
        return {str(number): shipped(name) for number, name in enumerate(SHIPPED)}
    files = list(dict.fromkeys(files))
    shared = Path(os.path.commonpath([file.absolute().parent for file in files]))
    names = [str(file.absolute().relative_to(shared).with_suffix("")) for file in files]
    return {
        str(number): known(name, file)
        for number, (name, file) in enumerate(zip(names, files, strict=True))
    }


def shipped(name: str) -> Choice:
    """Weights that ibsd brings."""
    choice = known(name, weights_file(name))
    choice.aim = SHIPPED[name]
    return choice


def known(name: str, file: Path) -> Choice:
    """What the file's header or certificate says; no more is read."""
    try:
        if file.suffix == ".safetensors":
            with open(file, "rb") as opened:
                (length,) = struct.unpack("<Q", opened.read(8))
                facts = json.loads(
                    json.loads(opened.read(min(length, MOST_HEADER_BYTES)))["__metadata__"][
                        "student"
                    ]
                )
        else:
            from ibsd.inference.exported import (
                read_certificate,  # with all that it takes to upscale, so only where it is needed
            )

            facts = (read_certificate(file) or {})["network"]
        return Choice(name, file, int(facts["scale"]), str(facts["name"]))
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return Choice(name, file)
