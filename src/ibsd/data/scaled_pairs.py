"""Pairs whose LR is stored at HR's size, brought to a scale: City100, RealSR V1 and V2.

Apart from `layouts.py`, which reads names and headers: this decodes, shrinks and writes pictures.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from ibsd.data.layouts import recognise
from ibsd.data.pairs import Pair, PairSets, find_layout, load_pair
from ibsd.images.rgb import write_rgb
from ibsd.types import InputError, Scale


def write_scaled_pairs(
    folder: str | os.PathLike[str], output: str | os.PathLike[str], scale: Scale
) -> PairSets:
    """Pairs at `scale` from a layout whose LR has HR's size, into `output` in the published layout,
    all or nothing. Returns them.

    Errors: InputError if `output` exists or cannot be written, if the LR of `folder` is small
    already, or as `recognise`.
    """
    folder = Path(folder)
    output = Path(output)
    layout = recognise(folder, scale)
    if not layout.lr_has_hr_size:
        raise InputError(f"{folder} is {layout.name}, whose LR is small already: use it as it is")
    if output.exists():
        raise InputError(f"{output} is there already: name a new folder")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as partial:
            ready = Path(partial) / "ready"
            for split, pairs in layout.sets.by_split().items():
                for pair in pairs:
                    for side, pixels in zip(("LR", "HR"), scaled_pair(pair, scale), strict=True):
                        (ready / f"{split}_{side}").mkdir(parents=True, exist_ok=True)
                        write_rgb(ready / f"{split}_{side}" / f"{pair.name}.png", pixels)
            ready.rename(output)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{output} cannot be written ({reason}): name another place") from error
    return find_layout(output)


def scaled_pair(pair: Pair, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """(LR uint8 [h, w, 3], HR uint8 [scale h, scale w, 3]) of a pair of equal sizes.

    HR loses up to `scale` - 1 rows below and columns to the right, so that its size divides. LR is
    cropped alike and shrunk by Pillow's bicubic filter, which is widened by `scale` against
    aliasing and registered as `images.bicubic` is. InputError for sizes that differ.
    """
    lr, hr = load_pair(pair)
    if lr.shape != hr.shape:
        raise InputError(f"{pair.lr} and {pair.hr} have different sizes: they must be equal here")
    height = hr.shape[0] // scale
    width = hr.shape[1] // scale
    lr, hr = (np.ascontiguousarray(image[: height * scale, : width * scale]) for image in (lr, hr))
    return np.asarray(Image.fromarray(lr).resize((width, height), Image.Resampling.BICUBIC)), hr
