"""Degradation matrix: networks scored on photographs under each of many degradations, single ones
and presets, matched in strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ibsd.data.degradation import Preset, degrade
from ibsd.data.presets import FAMILIES
from ibsd.evaluation.scores import LoadedPair, Method, ScoreTable, evaluate
from ibsd.images.rgb import read_rgb, to_array, to_tensor
from ibsd.types import InputError, Scale


def degraded_pairs(
    photographs: Sequence[Path], preset: Preset, scale: Scale, crop_px: int = 256
) -> list[LoadedPair]:
    """The centre of each photograph (or all of a smaller one) as HR, and its LR under a preset. The
    seed is the photograph's place in the list. InputError for a photograph of less than 16 LR px.
    """
    pairs: list[LoadedPair] = []
    for number, path in enumerate(photographs):
        hr = centre_crop(path, scale, crop_px)
        lr = degrade(to_tensor(hr), scale, preset, torch.Generator().manual_seed(number))
        pairs.append((path.stem, to_array(lr), hr))
    return pairs


def centre_crop(photograph: Path, scale: Scale, most_px: int) -> np.ndarray:
    """The middle of a photograph as HR, uint8 [H, W, 3], both sides at most `most_px` and multiples
    of `scale`. InputError for less than 16 LR px."""
    pixels = read_rgb(photograph)
    height, width = (min(side, most_px) // scale * scale for side in pixels.shape[:2])
    if min(height, width) < 16 * scale:
        raise InputError(
            f"{photograph} has {pixels.shape[1]}x{pixels.shape[0]} pixels: "
            f"both sides need {16 * scale} at x{scale}"
        )
    top = (pixels.shape[0] - height) // 2
    left = (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def degradation_matrix(
    methods: Mapping[str, Method],
    photographs: Sequence[Path],
    scale: Scale,
    families: Mapping[str, Preset] = FAMILIES,
    device: str | torch.device = "cpu",
    lpips: bool = True,
    on_family: Callable[[str], None] | None = None,
) -> dict[str, ScoreTable]:
    """{family: scores of the methods and bicubic}, with the same photographs and seeds in every
    row."""
    tables: dict[str, ScoreTable] = {}
    for name, preset in families.items():
        tables[name] = evaluate(
            methods, degraded_pairs(photographs, preset, scale), scale, device, lpips
        )
        if on_family is not None:
            on_family(name)
    return tables
