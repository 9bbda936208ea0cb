"""What can a network gain at one JPEG quality? Training with nothing else to learn, and the rung of
weights_safety.py's ladder before and after.

    python benchmarks/jpeg_bound.py PHOTOGRAPHS WORK --weights imdn-safe-x4 --score OTHERS
    -o benchmarks/results/NAME.json

Photographs are shrunk by bicubic and compressed at quality 30. PSNR-Y (basicsr-y) over bicubic on
the middle of every eighth of OTHERS. The same command goes on with a run that was stopped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from weights_safety import ladders

from ibsd.commands.run_record import versions
from ibsd.commands.train import train
from ibsd.comparison.machine import machine_facts
from ibsd.config.parsing import build
from ibsd.config.run import Config
from ibsd.data.degradation import Preset, Stage
from ibsd.data.degraded_patches import find_photographs
from ibsd.data.presets import FAMILIES
from ibsd.students import load_student

QUALITY = 30


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--weights", default="imdn-safe-x4")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--score", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = load_student(arguments.weights)
    name = f"jpeg {QUALITY}"
    FAMILIES[name] = Preset(Stage(resamplers=("bicubic",), jpeg=(QUALITY, QUALITY)), source="here")
    table = {
        "student": {
            "name": start.spec.name,
            "scale": start.spec.scale,
            "options": dict(start.spec.options),
            "weights": arguments.weights,
        },
        "data": {
            "photographs": str(arguments.photographs),
            "degradations": {name: 1.0},
            "batch_size": 8,
            "patch_px": 32,
        },
        "objective": {"name": "plain"},
        "training": {
            "num_steps": arguments.steps,
            "learning_rate": 4e-4,
            "schedule": {"kind": "cosine", "warm_up": 100},
            "ema_decay": 0.998,
            "clip_norm": 1.0,
            "validate_every": 0,
            "diagnostics_every": 0,
            "checkpoint_every": 250,
        },
        "run": {"folder": str(arguments.work)},
    }
    train(build(Config, table), resume=True)
    methods = {"before": start, "after": load_student(arguments.work / "last.safetensors")}
    paths = find_photographs(arguments.score)[::8]
    found = ladders(methods, paths, 192, start.spec.scale)["jpeg"]
    print(*(f"quality {quality}: {gains}" for quality, gains in found.items()), sep="\n")
    record = {
        "weights": arguments.weights,
        "steps": arguments.steps,
        "machine": machine_facts(torch.device("cpu")),
        "versions": versions(),
        "jpeg": found,
    }
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
