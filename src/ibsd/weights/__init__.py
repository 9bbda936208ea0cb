"""Weights that come with the package: NAME.safetensors beside its model card NAME.md and NAME.json
for OpenModelDB. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from ibsd.types import InputError, Scale

FOLDER = Path(__file__).parent

SHIPPED = {
    "imdn-safe-x4": "safe for any photograph",
    "imdn-safe-x3": "safe for any photograph",
    "imdn-safe-x2": "safe for any photograph",
    "imdn-safe-small-x4": "quick and safe",
    "imdn-crisp-x4": "crisp to look at",
    "imdn-x1": "removes noise, weakens blocks, keeps the size",
    "imdn-x4": "true to the photograph",
    "imdn-x2": "true to the photograph",
    "imdn-sharp-x4": "the crisp ones before imdn-crisp-x4",
    "imdn-small-x4": "quick",
}
"""Name -> aim. The first name of a scale is that scale's default."""

CRISP = {"imdn-safe-x4": "imdn-crisp-x4"}
"""Faithful weights -> the crisp ones of the same network, both from `imdn-x4`: any mean of both is
a network between them."""


def named_or_file(weights: str | Path) -> Path:
    """The file of shipped weights by their name, such as "imdn-x4"; anything else is a path. An
    existing file of that name comes first."""
    if str(weights) in SHIPPED and not Path(weights).is_file():
        return weights_file(str(weights))
    return Path(weights)


def no_such_file(path: Path) -> InputError:
    """The error for a weight file that does not exist."""
    if path.is_dir():
        return InputError(f"{path} is a folder where weights belong: name a weight file")
    return InputError(f"{path}: no such weight file; check the name, or take {', '.join(SHIPPED)}")


def weights_file(name: str) -> Path:
    """The file of shipped weights."""
    return FOLDER / f"{name}.safetensors"


def default_weights(scale: Scale = 4) -> Path:
    """The weights that upscale by `scale` if no others are named. InputError for a scale that has
    none."""
    for name in SHIPPED:
        if name.endswith(f"-x{scale}"):
            return weights_file(name)
    scales = ", ".join(sorted({name.rpartition("-")[2] for name in SHIPPED}))
    raise InputError(
        f"ibsd brings no weights for x{scale}, only for {scales}: name a file with --weights"
    )
