"""Do weights make real pictures worse? Real pairs, and ladders of noise and JPEG on photographs.

    python benchmarks/weights_safety.py imdn-x4 MINE.safetensors --pairs drealsr=FOLDER
    --pairs realsr=FOLDER:val --photographs FOLDER -o benchmarks/results/NAME.json

Pairs lie in the published layout; `:val` takes one split, else all are taken. Of real pairs it
gives PSNR-Y and SSIM (`basicsr-y`) and LPIPS (`ibsd-cdc`), gains over bicubic of all and of each
camera (the name up to the first `_`), the share of images below bicubic, and the mean of the worst
tenth of gains. A ladder is the middle of each photograph, shrunk by bicubic, and then either noisy
(Gaussian, in levels of 255, equal in R, G and B) or compressed (libjpeg, 4:2:0). At x1 bicubic is
the picture itself, and the ladder of noise starts at 5. `--peers` adds the free networks of
peers.py, whose packages must be installed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ibsd.commands.run_record import versions
from ibsd.comparison.harm import worst_tenth
from ibsd.comparison.machine import machine_facts
from ibsd.data.degraded_patches import find_photographs
from ibsd.data.jpeg import libjpeg
from ibsd.data.pairs import Pair, find_layout
from ibsd.evaluation.matrix import centre_crop
from ibsd.evaluation.scores import BICUBIC, LoadedPair, ScoreTable, evaluate
from ibsd.images.rgb import to_array, to_tensor
from ibsd.students import load_student
from ibsd.types import Scale

Upscale = Callable[[torch.Tensor], torch.Tensor]

NOISE = (0, 5, 10, 15, 20, 30)
QUALITY = (95, 80, 60, 40, 30, 20, 10)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--pairs", action="append", default=[], metavar="NAME=FOLDER[:SPLIT]")
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--every", type=int, default=4, help="of the photographs")
    parser.add_argument("--crop", type=int, default=192, help="HR pixels of a ladder's pictures")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    students = {Path(name).stem: load_student(name) for name in arguments.weights}
    [scale] = {student.spec.scale for student in students.values()}
    methods: dict[str, Upscale] = dict(students)
    if arguments.peers:
        from peers import PEERS_X2, PEERS_X4, ncnn_method

        peers = PEERS_X2 if scale == 2 else PEERS_X4
        methods |= {name: ncnn_method(*where) for name, where in peers.items()}
    found: dict[str, Any] = {
        "machine": machine_facts(torch.device("cpu")),
        "versions": versions(),
        "pairs": {},
    }
    for given in arguments.pairs:
        name, _, place = given.partition("=")
        found["pairs"][name] = real(evaluate(methods, pairs_of(place), scale))
    for name, sets in found["pairs"].items():
        for method, figures in sets["all"].items():
            print(f"{name:10} {method:24}", *(f"{key} {x:.3f}" for key, x in figures.items()))
    if arguments.photographs:
        paths = find_photographs(arguments.photographs)[:: arguments.every]
        found["ladders"] = ladders(methods, paths, arguments.crop, scale)
        for name, steps in found["ladders"].items():
            for method in methods:
                gains = (f"{step}: {gain[method]:+.2f}" for step, gain in steps.items())
                print(f"{name:10} {method:24}", *gains)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


def pairs_of(place: str) -> Sequence[Pair]:
    folder, _, split = place.partition(":")
    sets = find_layout(Path(folder))
    return sets.by_split()[split] if split else sets.all()


def real(table: ScoreTable) -> dict[str, dict[str, dict[str, float]]]:
    """{camera or "all": {method: {figure: value}}}"""
    rows = {(row.image, row.method): row.scores for row in table.rows}
    images = list(dict.fromkeys(row.image for row in table.rows))
    groups = {"all": images}
    for image in images:
        groups.setdefault(image.partition("_")[0], []).append(image)

    def figures(method: str, names: Sequence[str]) -> dict[str, float]:
        def values(protocol: str, metric: str, of: str = method) -> np.ndarray[Any, Any]:
            return np.array([rows[name, of][protocol][metric] for name in names])

        gains = values("basicsr-y", "psnr_y") - values("basicsr-y", "psnr_y", BICUBIC)
        return {
            "psnr_y": float(values("basicsr-y", "psnr_y").mean()),
            "gain": float(gains.mean()),
            "below": float((gains < 0).mean()),
            "worst_tenth": worst_tenth(gains),
            "ssim_y": float(values("basicsr-y", "ssim_y").mean()),
            "lpips": float(values("ibsd-cdc", "lpips").mean()),
        }

    return {
        group: {method: figures(method, names) for method in table.methods}
        for group, names in groups.items()
    }


def ladders(
    methods: Mapping[str, Upscale], photographs: Sequence[Path], crop_px: int, scale: Scale
) -> dict[str, dict[str, dict[str, float]]]:
    """{ladder: {step: {method: PSNR-Y over bicubic}}}, and bicubic's own PSNR-Y."""
    hrs = [centre_crop(path, scale, crop_px) for path in photographs]
    lrs = [to_tensor(shrunk(hr, scale)) for hr in hrs]

    def noisy(number: int, lr: torch.Tensor, sigma: int) -> torch.Tensor:
        noise = torch.randn(lr.shape, generator=torch.Generator().manual_seed(number))
        return lr + sigma / 255 * noise

    steps = {
        "noise": {
            step: [noisy(k, lr, step) for k, lr in enumerate(lrs)] for step in NOISE[scale == 1 :]
        },
        "jpeg": {step: [libjpeg(lr, step, subsampled=True) for lr in lrs] for step in QUALITY},
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for ladder, rungs in steps.items():
        for step, degraded in rungs.items():
            pairs: list[LoadedPair] = [
                (path.stem, to_array(lr.clamp(0, 1)), hr)
                for path, lr, hr in zip(photographs, degraded, hrs, strict=True)
            ]
            means = evaluate(methods, pairs, scale, lpips=False).means
            psnr = {method: figures["basicsr-y"]["psnr_y"] for method, figures in means.items()}
            found.setdefault(ladder, {})[str(step)] = {BICUBIC: psnr[BICUBIC]} | {
                method: psnr[method] - psnr[BICUBIC] for method in methods
            }
    return found


def shrunk(hr: np.ndarray, scale: int) -> np.ndarray:
    size = (hr.shape[1] // scale, hr.shape[0] // scale)
    return np.asarray(Image.fromarray(hr).resize(size, Image.Resampling.BICUBIC))


if __name__ == "__main__":
    main()
