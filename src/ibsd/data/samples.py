"""The photographs inside the package, and pairs made from them: for demos, tests and first steps.

Fourteen sharp photographs lie in `photographs/` (1.8 MB; `CREDITS.md` there names authors, licences
and changes). Their sides are multiples of 12, so that every scale divides them. They are few, and
their LR images come from `camera_like`, not from a camera: enough to see that everything works, not
to publish a number.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ibsd.data.pairs import PairSets, find_layout
from ibsd.images.rgb import read_rgb, to_array, to_tensor, write_rgb
from ibsd.system import make_folder
from ibsd.types import InputError, Scale, require, require_scale

SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("brushes", "coffee", "dahlia", "fig", "mountains", "rocket", "stream", "table"),
    "val": ("chelsea", "meadow"),
    "test": ("dandelion", "dogs", "pavilion"),
}
"""Which photograph serves for what; no two show the same scene."""

UPSCALING_SAMPLE = "astronaut"
"""The photograph for upscaling; no split uses it."""

_FOLDER = Path(__file__).with_name("photographs")


def sample_names() -> tuple[str, ...]:
    """The names of all photographs, sorted."""
    return tuple(sorted((*SPLITS["train"], *SPLITS["val"], *SPLITS["test"], UPSCALING_SAMPLE)))


def sample(name: str) -> np.ndarray:
    """A photograph by name, uint8 [H, W, 3]. InputError for another name."""
    if name not in sample_names():
        raise InputError(f"unknown photograph {name!r}; there are: {', '.join(sample_names())}")
    return read_rgb(_FOLDER / f"{name}.jpg")


def sample_pair(
    name: str, scale: Scale, seed: int = 0, variant: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(LR uint8 [h, w, 3], HR uint8 [scale * h, scale * w, 3]) of a photograph. Every seed and
    variant is another draw of `camera_like`.

    The draw depends on name, seed and variant alone. InputError for an unknown name or scale.
    """
    import torch

    from ibsd.data.camera_like import camera_like

    require_scale("scale", scale)
    hr = sample(name)
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    number = int.from_bytes(hashlib.sha256(f"{name}/{seed}/{variant}".encode()).digest()[:7], "big")
    return to_array(camera_like(to_tensor(hr), scale, torch.Generator().manual_seed(number))), hr


def write_sample_pairs(
    folder: str | os.PathLike[str], scale: Scale, seed: int = 0, variants: int = 1
) -> PairSets:
    """Write pairs of every split's photographs as PNG files in the published layout (`train_LR`,
    `train_HR`, ...) and return them.

    Args:
        variants: LR images of each photograph to train on, each degraded in another way and each
            with its HR file (a link where the file system can). Several are named `coffee_v1`,
            `coffee_v2` and so on.

    Errors: InputError when the folder holds anything or cannot be made. No file is left behind on
    failure.
    """
    folder = Path(folder)
    require_scale("scale", scale)
    require("variants", variants, variants >= 1, "1 or more")
    make_folder(folder)
    if any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: choose a new folder for the sample pairs")
    # The folders appear under their names only when all files are complete.
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as partial:
        for split, names in SPLITS.items():
            lr_folder = Path(partial, f"{split}_LR")
            hr_folder = Path(partial, f"{split}_HR")
            lr_folder.mkdir()
            hr_folder.mkdir()
            count = variants if split == "train" else 1
            for name in names:
                _write_variants(name, lr_folder, hr_folder, scale, seed, count)
        for ready in Path(partial).iterdir():
            ready.rename(folder / ready.name)
    return find_layout(folder)


def _write_variants(
    name: str, lr_folder: Path, hr_folder: Path, scale: Scale, seed: int, variants: int
) -> None:
    first: Path | None = None
    for variant in range(variants):
        file = f"{name}.png" if variants == 1 else f"{name}_v{variant + 1}.png"
        lr, hr = sample_pair(name, scale, seed, variant)
        write_rgb(lr_folder / file, lr)
        if first is None:
            first = hr_folder / file
            write_rgb(first, hr)
        else:
            _link(first, hr_folder / file)


def _link(file: Path, other: Path) -> None:
    try:
        os.link(file, other)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, other)
