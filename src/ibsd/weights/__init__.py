"""Weights that come with the package: NAME.safetensors beside its model card NAME.md and NAME.json
for OpenModelDB. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from ibsd.types import InputError, Scale

FOLDER = Path(__file__).parent

SHIPPED = {
    "imdn-x4": "true to the photograph",
    "imdn-x2": "true to the photograph",
    "imdn-sharp-x4": "crisp to look at",
    "imdn-small-x4": "quick",
}
"""Name -> their aim. The first of a scale is what that scale takes when no weights are named."""


def named_or_file(weights: str | Path) -> Path:
    """The file of shipped weights by their name, such as "imdn-x4"; anything else is a path. A file
    of that name goes first."""
    return (
        weights_file(str(weights))
        if str(weights) in SHIPPED and not Path(weights).exists()
        else Path(weights)
    )


def no_such_file(path: Path) -> InputError:
    """The error for a weight file that is not there."""
    return InputError(
        f"{path}: no such weight file: check the name, or take one that ibsd brings: {', '.join(SHIPPED)}"
    )


def weights_file(name: str) -> Path:
    return FOLDER / f"{name}.safetensors"


def default_weights(scale: Scale = 4) -> Path:
    """What upscales by `scale` when nothing else is named. InputError for a scale that has none."""
    for name in SHIPPED:
        if name.endswith(f"-x{scale}"):
            return weights_file(name)
    there = ", ".join(
        f"x{one}" for one in sorted({int(name.rpartition("-x")[2]) for name in SHIPPED})
    )
    raise InputError(
        f"ibsd brings no weights for x{scale}, only for {there}: name a file with --weights"
    )
