"""In which detail does a network gain? Its error and its sharpness, by bands of the Haar wavelet.

    python benchmarks/error_bands.py start=imdn-x4 plain=FILE plain=FILE ibsd=FILE ...
        --pairs drealsr=FOLDER -o benchmarks/results/NAME.json

Weights with one name are seeds of one arm. Bands are those of Y, `basicsr-y`'s border cut: details
of 2, 4, 8 and 16 pixels, finest first, and the rest. `gain`: squared error below bicubic's in dB,
mean over images. `sharpness`: root of the band's energy over that of HR, mean over images. A gain
by mere smoothing shows as sharpness below bicubic's.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from weights_safety import pairs_of

from ibsd.comparison.machine import machine_facts
from ibsd.data.pairs import load_pair
from ibsd.distillation.wavelet import haar
from ibsd.images.rgb import bicubic, to_array, to_tensor
from ibsd.metrics.fidelity import luma
from ibsd.students import load_student

LEVELS = 4
BANDS = ("2 px", "4 px", "8 px", "16 px", "rest")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="+", help="ARM=FILE, once a seed")
    parser.add_argument("--pairs", required=True, metavar="NAME=FOLDER[:SPLIT]")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = [text.partition("=")[::2] for text in arguments.weights]
    students = [(arm, load_student(path)) for arm, path in files]
    scale = students[0][1].spec.scale
    name, _, place = arguments.pairs.partition("=")
    pairs = [tuple(map(to_tensor, load_pair(pair))) for pair in pairs_of(place)]

    def bands(upscale: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """[images, bands]: mean squared error, and energy."""
        rows = []
        for lr, hr in pairs:
            with torch.inference_mode():
                sr = to_tensor(to_array(upscale(lr)))
            rows.append((energies(luma(sr) - luma(hr), scale), energies(luma(sr), scale)))
        errors, sharp = zip(*rows, strict=True)
        return np.array(errors), np.array(sharp)

    base, soft = bands(lambda lr: bicubic(lr, scale))
    wanted = np.array([energies(luma(hr), scale) for _, hr in pairs])
    seeds: dict[str, list[dict[str, list[float]]]] = defaultdict(list)

    def note(arm: str, errors: np.ndarray, sharp: np.ndarray) -> None:
        gain = (10 * np.log10(base / errors)).mean(axis=0)
        sharpness = np.sqrt(sharp / wanted).mean(axis=0)
        seeds[arm].append({"gain": gain.tolist(), "sharpness": sharpness.tolist()})

    note("bicubic", base, soft)
    for arm, student in students:
        note(arm, *bands(student))
    print(f"{name}, {len(pairs)} images: gain over bicubic in dB, and sharpness, by band")
    print(f"{'':20}", *(f"{band:>12}" for band in BANDS))
    for arm, found in seeds.items():
        gain, sharp = (np.mean([seed[key] for seed in found], axis=0) for key in found[0])
        cells = (f"{g:+6.2f} {s:5.3f}" for g, s in zip(gain, sharp, strict=True))
        print(f"{arm:20}", *cells, f" {len(found)} seeds")
    if arguments.output:
        found = {"pairs": name, "images": len(pairs), "bands": BANDS, "arms": seeds}
        found["machine"] = machine_facts(torch.device("cpu"))
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


def energies(y: Tensor, border: int) -> list[float]:
    """Mean square of Y in 8-bit levels, by band; they add up to the mean square of the whole."""
    rest = 255 * y[..., border:-border, border:-border]
    count = rest.numel()
    found: list[float] = []
    for _ in range(LEVELS):
        rest, detail = haar(rest)
        found.append(float(detail.square().sum()) / count)
    return [*found, float(rest.square().sum()) / count]


if __name__ == "__main__":
    main()
