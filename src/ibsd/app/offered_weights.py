"""The weights that the page offers, and what is known of them without reading them whole."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ibsd.types import InputError, Scale
from ibsd.weights import CRISP, SHIPPED, named_or_file, no_such_file, weights_file

SUFFIXES = (".safetensors", ".pth", ".pt", ".xml", ".onnx")
MAX_HEADER_BYTES = 10_000_000


@dataclass
class OfferedWeights:
    """Weights that the user may choose."""

    name: str
    """As the page shows them."""
    file: Path
    scale: Scale | None = None
    """None until a worker has opened the file. Then the page offers it."""
    network: str = ""
    aim: str = ""
    """What the weights are for, if ibsd ships them."""
    has_crisp: bool = False
    """Whether a look above 0 leads to crisp weights."""


def find_offered_weights(paths: Sequence[Path]) -> dict[str, OfferedWeights]:
    """{key: weights} of weight files, folders of them and names of shipped weights; without any,
    the weights that ibsd ships. InputError for a path that holds none."""
    files: list[Path] = []
    paths = [named_or_file(path) for path in paths]
    for path in paths:
        if path.is_dir():
            inside = [file for file in path.rglob("*") if file.suffix in SUFFIXES]
            inside = sorted(file for file in inside if file.is_file())
            if not inside:
                raise InputError(
                    f"{path} holds no weights ({', '.join(SUFFIXES)}): "
                    "name another folder, or a weight file"
                )
            files += inside
        elif path.is_file() and path.suffix in SUFFIXES:
            files.append(path)
        elif path.exists():
            raise InputError(f"{path} is no weight file ({', '.join(SUFFIXES)}): check the name")
        else:
            raise no_such_file(path)
    if not files:
        return {str(number): _shipped(name) for number, name in enumerate(SHIPPED)}
    files = list(dict.fromkeys(files))
    shared = Path(os.path.commonpath([file.absolute().parent for file in files]))
    names = [str(file.absolute().relative_to(shared).with_suffix("")) for file in files]
    return {
        str(number): _from_file(name, file)
        for number, (name, file) in enumerate(zip(names, files, strict=True))
    }


def _shipped(name: str) -> OfferedWeights:
    weights = _from_file(name, weights_file(name))
    weights.aim = SHIPPED[name]
    return weights


def _from_file(name: str, file: Path) -> OfferedWeights:
    """Reads only the header of the file, or its certificate."""
    try:
        network = _safetensors_network(file) if file.suffix == ".safetensors" else _exported(file)
        # ONNX Runtime cannot mix the weights of two models.
        has_crisp = file in map(weights_file, CRISP) and any(map(find_spec, ("openvino", "torch")))
        return OfferedWeights(
            name, file, int(network["scale"]), str(network["name"]), has_crisp=has_crisp
        )
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return OfferedWeights(name, file)


def _safetensors_network(file: Path) -> dict[str, Any]:
    with open(file, "rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(min(length, MAX_HEADER_BYTES)))
    return json.loads(header["__metadata__"]["student"])


def _exported(file: Path) -> dict[str, Any]:
    from ibsd.inference.exported import read_certificate  # slow to import, and not always needed

    return (read_certificate(file) or {})["network"]
