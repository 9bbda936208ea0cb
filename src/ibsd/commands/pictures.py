"""Images before and after, for pages: which pairs to show, and each network's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch

from ibsd.assembly import find_sets
from ibsd.config.parsing import build
from ibsd.config.run import Config
from ibsd.data.pairs import Pair, load_pair
from ibsd.data.samples import SPLITS, UPSCALING_SAMPLE, sample_pair
from ibsd.evaluation.scores import BICUBIC, LoadedPair, Method
from ibsd.images.rgb import bicubic, to_array, to_tensor
from ibsd.metrics import score
from ibsd.reporting.pictures import Scene
from ibsd.reporting.stored_run import StoredRun
from ibsd.types import InputError, Scale

Item = TypeVar("Item")

MOST_SCENES = 8
"""Pairs to upscale. The page shows the scenes among them where methods differ most."""
MOST_LR_PX = 160
"""Larger images are cut to their centre."""


def pictures_of(run: StoredRun) -> tuple[list[LoadedPair], str]:
    """Pairs to show, and a sentence about them: the run's `val`, never its `test`, or without `val`
    the package's photographs."""
    try:
        val = find_sets(build(Config, dict(run.config))).val
        if val:
            return [loaded(pair) for pair in spread(val)], "Images of val, never trained on."
    except (InputError, OSError):
        pass  # moved or removed since
    scale: Scale = run.config["student"]["scale"]
    names = (*SPLITS["test"], UPSCALING_SAMPLE)
    pictures = [(name, *sample_pair(name, scale)) for name in names]
    return pictures, "Photographs inside ibsd, degraded like a camera's."


def spread(items: Sequence[Item], most: int = MOST_SCENES) -> list[Item]:
    """At most `most` of the items, evenly apart."""
    count = min(most, len(items))
    return [items[k * len(items) // count] for k in range(count)]


def loaded(pair: Pair) -> LoadedPair:
    return (pair.name, *load_pair(pair))


@torch.inference_mode()
def scenes(methods: Mapping[str, Method], pairs: Sequence[LoadedPair]) -> list[Scene]:
    """The pictures by bicubic and by every method."""
    pictures: list[Scene] = []
    for name, whole_lr, whole_hr in pairs:
        lr, hr = centre(whole_lr, whole_hr)
        tensor = to_tensor(lr)
        scale = hr.shape[0] // lr.shape[0]
        versions = {BICUBIC: to_array(bicubic(tensor, scale))}
        for method, network in methods.items():
            versions[method] = to_array(network(tensor).float())
        psnr = {method: psnr_y(version, hr, scale) for method, version in versions.items()}
        pictures.append(Scene(name, lr, versions, hr, psnr))
    return pictures


def centre(lr: np.ndarray, hr: np.ndarray, most: int = MOST_LR_PX) -> tuple[np.ndarray, np.ndarray]:
    """The middle of both, at most `most` LR pixels a side."""
    scale = hr.shape[0] // lr.shape[0]
    height, width = (min(side, most) for side in lr.shape[:2])
    top = (lr.shape[0] - height) // 2
    left = (lr.shape[1] - width) // 2
    of_lr = lr[top : top + height, left : left + width]
    of_hr = hr[top * scale : (top + height) * scale, left * scale : (left + width) * scale]
    return np.ascontiguousarray(of_lr), np.ascontiguousarray(of_hr)


def psnr_y(sr: np.ndarray, hr: np.ndarray, scale: int) -> float:
    """`basicsr-y`, in dB."""
    return score(to_tensor(sr), to_tensor(hr), scale, lpips=False)["basicsr-y"]["psnr_y"]
