"""What every network costs once exported, trained plainly and with IBSD, side by side.

    python benchmarks/efficiency.py -o benchmarks/results/efficiency.json [--networks imdn span]
    [--scales 2 4] [--size 128] [--runs 5]

For each network and scale: two runs of `ibsd train` from the same seed for --steps steps on the
embedded samples, one plain, one with IBSD (estimators, bound, wavelet loss, soft targets); each
exported to OpenVINO, certificate included; then parameters, multiply-adds and activations counted
in the exported graph, memory and latency measured by running each in turn, every run in a process
of its own. Exits with 1 unless the counts of the two and the sizes of their files are equal. Prints
a table for docs/performance.md and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from timing import facts

from ibsd.commands.train import train
from ibsd.config.run import (
    Config,
    DataConfig,
    ObjectiveConfig,
    RunConfig,
    StudentConfig,
)
from ibsd.data.samples import write_sample_pairs
from ibsd.efficiency.count import count_exported_cost
from ibsd.efficiency.measure import measured
from ibsd.export import export_student
from ibsd.students import STUDENTS
from ibsd.training import Schedule, TrainingOptions
from ibsd.types import Scale

OBJECTIVES = {
    "plain": {},
    "ibsd": {"lambda_mi": 1e-5, "lambda_hf": 0.02, "warm_up": 0, "ramp": 1, "period": 4},
}
PATCH_PX = 32


def exported(name: str, scale: Scale, objective: str, num_steps: int, folder: Path) -> Path:
    """A network trained for a moment, as an OpenVINO model."""
    pairs = folder / f"pairs-x{scale}"
    if not pairs.exists():
        write_sample_pairs(pairs, scale)
    run = folder / f"{name}-x{scale}-{objective}"
    train(
        Config(
            StudentConfig(name, scale, {}),
            DataConfig(pairs=str(pairs), batch_size=2, patch_px=PATCH_PX),
            ObjectiveConfig(objective, dict(OBJECTIVES[objective])),
            TrainingOptions(
                num_steps=num_steps,
                schedule=Schedule("cosine", warm_up=1),
                validate_every=0,
                checkpoint_every=0,
            ),
            RunConfig(folder=str(run), device="cpu", threads=torch.get_num_threads()),
        )
    )
    return export_student(run / "last.safetensors", "openvino")[0]


def sheet(
    models: dict[str, Path], size: int, runs: int, rounds: int
) -> dict[str, dict[str, object]]:
    """{objective: what it costs}; time and memory as medians over rounds in which each runs
    once."""
    taken = {key: [] for key in models}
    for _ in range(rounds):
        for key, path in models.items():
            taken[key].append(measured(path, size, size, runs))
    return {
        key: asdict(count_exported_cost(path, *taken[key][0].lr))
        | asdict(taken[key][0])
        | {
            name: statistics.median(getattr(each, name) for each in taken[key])
            for name in ("latency_ms", "memory_bytes")
        }
        for key, path in models.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=list(STUDENTS))
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--size", type=int, default=128, help="side of the picture that goes in")
    parser.add_argument(
        "--steps",
        type=int,
        default=8,
        help="of training; after few, two learned scales can be equal, and the converter joins "
        "them",
    )
    parser.add_argument("--runs", type=int, default=3, help="timed runs of a process")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each model")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = facts("wall", torch.device("cpu")) | {
        "lr": [arguments.size, arguments.size],
        "steps": arguments.steps,
        "networks": {},
    }
    different = []
    print(
        "| network | parameters | multiply-adds | activations | files, bytes | memory, MiB: "
        "plain, IBSD | latency, ms: plain, IBSD | precision |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.networks:
        for scale in arguments.scales:
            with tempfile.TemporaryDirectory() as folder:
                models = {
                    key: exported(name, scale, key, arguments.steps, Path(folder))
                    for key in OBJECTIVES
                }
                rows = sheet(models, arguments.size, arguments.runs, arguments.rounds)
            result["networks"][f"{name} x{scale}"] = rows
            arguments.output.write_text(json.dumps(result, indent=1) + "\n")
            plain, ibsd = rows["plain"], rows["ibsd"]
            same = ("parameters", "multiply_adds", "activations", "precision")
            different += [f"{name} x{scale}: {key}" for key in same if plain[key] != ibsd[key]]
            print(
                f"| `{name}` x{scale} | {plain['parameters']:,} | "
                f"{plain['multiply_adds'] / 1e9:.2f} G | {plain['activations'] / 1e6:.1f} M "
                f"| {plain['file_bytes']:,}, {ibsd['file_bytes']:,} | "
                f"{plain['memory_bytes'] / 2**20:.0f}, {ibsd['memory_bytes'] / 2**20:.0f} "
                f"| {plain['latency_ms']:.0f}, {ibsd['latency_ms']:.0f} | {plain['precision']} |",
                flush=True,
            )
    for sentence in different:
        print(f"not equal: {sentence}", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
