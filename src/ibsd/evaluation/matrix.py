"""Degradation matrix: networks scored on photographs under families of degradations, one at a time and mixed, matched in strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ibsd.data.blur import BLURS
from ibsd.data.presets import PRESETS, Preset, Stage, degrade
from ibsd.evaluation.scores import LoadedPair, Method, ScoreTable, evaluate
from ibsd.images import read_rgb, to_array, to_tensor
from ibsd.types import InputError, Scale

BLUR = 0.5
"""Standard deviation in LR pixels of every shape of blur."""

FAMILIES: dict[str, Preset] = {
    **{f"blur {shape}": Preset(Stage(blur=(BLUR, BLUR), shapes=(shape,), resamplers=("area",))) for shape in BLURS},
    "noise weak": Preset(Stage(resamplers=("area",), shot_noise=1e-3, read_noise=4e-3)),
    "noise strong": Preset(Stage(resamplers=("area",), shot_noise=4e-3, read_noise=1.6e-2)),
    "halo": Preset(Stage(blur=(BLUR, BLUR), shapes=("gaussian",), resamplers=("area",), halo=1.0)),
    **{f"jpeg {quality}": Preset(Stage(resamplers=("area",), jpeg=(quality, quality))) for quality in (90, 70, 50)},
    **PRESETS,
}
"""Rows of the matrix. Blurs are equal in standard deviation and differ in shape alone."""


def degraded_pairs(photographs: Sequence[Path], preset: Preset, scale: Scale, crop_px: int = 256) -> list[LoadedPair]:
    """The centre of each photograph (or all of a smaller one), and LR of it under a preset; the seed is its place in the list."""
    pairs: list[LoadedPair] = []
    for number, path in enumerate(photographs):
        pixels = read_rgb(path)
        height, width = (min(side, crop_px) // scale * scale for side in pixels.shape[:2])
        if min(height, width) < 16 * scale:
            raise InputError(f"{path} has {pixels.shape[1]}x{pixels.shape[0]} pixels: both sides need {16 * scale} at x{scale}")
        top, left = ((side - cut) // 2 for side, cut in zip(pixels.shape[:2], (height, width), strict=True))
        hr = np.ascontiguousarray(pixels[top : top + height, left : left + width])
        lr = degrade(to_tensor(hr), scale, preset, torch.Generator().manual_seed(number))
        pairs.append((path.stem, to_array(lr), hr))
    return pairs


def degradation_matrix(
    methods: Mapping[str, Method],
    photographs: Sequence[Path],
    scale: Scale,
    families: Mapping[str, Preset] = FAMILIES,
    device: str | torch.device = "cpu",
    lpips: bool = True,
    on_family: Callable[[str], None] | None = None,
) -> dict[str, ScoreTable]:
    """{family: scores of the methods, bicubic among them}; the same photographs and seeds in every row."""
    tables = {}
    for name, preset in families.items():
        tables[name] = evaluate(methods, degraded_pairs(photographs, preset, scale), scale, device, lpips)
        if on_family is not None:
            on_family(name)
    return tables
