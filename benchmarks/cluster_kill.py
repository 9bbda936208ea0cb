"""Kills one of three machines of a Ray cluster in mid-run: nothing is lost, wrong or made twice.

Needs pip install 'ibsd[cluster]'.

    python benchmarks/cluster_kill.py PHOTOGRAPHS -o benchmarks/results/cluster-kill.json

The machines are `ray.cluster_utils.Cluster`'s, on this machine, of one core each. PHOTOGRAPHS is a
folder; small crops of them are upscaled, so that a run takes minutes. Each run is the command
`ibsd upscale --cluster`, and the machine dies after a share of the results that is drawn at random.
The JSON holds each run as soon as it has ended. The same command makes the runs that it lacks.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from ray.cluster_utils import Cluster

from ibsd.cluster.arrow import parquet
from ibsd.commands.run_record import versions
from ibsd.comparison.machine import machine_facts
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.system import write_whole

PX = 32
WEIGHTS = "imdn-small-x4"


def write_crops(photographs: Path, folder: Path, number: int) -> None:
    """Crops at different places, so that no two are equal."""
    sources = sorted(photographs.rglob("*.jpg"))
    draw = random.Random(0)
    folder.mkdir()
    made = 0
    while made < number:
        pixels = read_rgb(sources[made % len(sources)])
        for _ in range(-(-number // len(sources))):
            top, left = (draw.randrange(side - PX) for side in pixels.shape[:2])
            write_rgb(folder / f"{made:05}.png", pixels[top : top + PX, left : left + PX].copy())
            made += 1
            if made == number:
                break


def upscale(source: Path | str, target: Path | str, *more: str) -> subprocess.Popen[bytes]:
    command = ["upscale", str(source), "-o", str(target), "--weights", WEIGHTS, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "ibsd", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def three_machines() -> tuple[Any, list[Any]]:
    """The cluster, and those that may be killed. On a busy machine not every start is in time."""
    for tries in range(10):
        cluster = Cluster()
        try:
            cluster.add_node(num_cpus=1, include_dashboard=False)
            return cluster, [cluster.add_node(num_cpus=1) for _ in range(2)]
        except Exception as error:
            print(f"start {tries}: {error}", flush=True)
            cluster.shutdown()
    raise SystemExit("Ray does not start: the machine is too busy")


def killed_run(crops: Path, target: Path, number: int, seed: int) -> dict[str, Any]:
    """One run. Returns what it came to."""
    draw = random.Random(seed)
    cluster, nodes = three_machines()
    started = time.monotonic()
    process = upscale(crops, target, "--cluster", cluster.address)
    after = draw.randrange(number // 20, number * 19 // 20)
    while process.poll() is None and num_results(target) < after:
        time.sleep(0.05)
    assert process.poll() is None, "it ended before the kill"
    at = num_results(target)
    cluster.remove_node(draw.choice(nodes), allow_graceful=False)
    code = process.wait()
    seconds = time.monotonic() - started
    cluster.shutdown()
    table = read(target)
    return {
        "seed": seed,
        "killed_after": at,
        "exit_code": code,
        "seconds": round(seconds, 1),
        "rows": len(table),
        "states": dict(Counter(row["state"] for row in table)),
        "files_with_two_rows": len(table) - len({row["target"] for row in table}),
        "tried_again": sum(row["tries"] > 1 for row in table),
        "nodes": len({row["node"] for row in table}),
    }


def read(target: Path) -> list[dict[str, Any]]:
    return [
        row
        for part in sorted((target / ".manifest").glob("*.parquet"))
        for row in parquet.read_table(part).to_pylist()
    ]


def num_results(target: Path) -> int:
    try:
        return sum(name.endswith(".png") for name in os.listdir(target))
    except FileNotFoundError:
        return 0


def different(one: Path, other: Path) -> list[str]:
    """Names that are in one folder only, or of other bytes, hidden ones left out."""
    here, there = ({name for name in os.listdir(p) if name[0] != "."} for p in (one, other))
    return sorted(here ^ there) + [
        name for name in here & there if (one / name).read_bytes() != (other / name).read_bytes()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--photographs", type=int, default=2000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    runs = json.loads(given.output.read_text())["runs"] if given.output.exists() else []
    os.environ.setdefault("RAY_worker_niceness", "0")  # else they starve on a busy machine
    with tempfile.TemporaryDirectory() as folder:
        crops, one = Path(folder) / "crops", Path(folder) / "one"
        write_crops(given.source, crops, given.photographs)
        assert upscale(crops, one).wait() == 0
        for seed in sorted(set(range(given.times)) - {run["seed"] for run in runs}):
            target = Path(folder) / f"many-{seed}"
            found = killed_run(crops, target, given.photographs, seed)
            found["different"] = len(different(one, target))
            found["left_over"] = sum(name.startswith(".0") for name in os.listdir(target))
            runs.append(found)
            result = {
                "photographs": given.photographs,
                "px": PX,
                "weights": WEIGHTS,
                "kills": f"{len(runs)} of {given.times}",
                "runs": runs,
                "machine": machine_facts(torch.device("cpu")),
                "versions": versions(),
            }
            write_whole(given.output, json.dumps(result, indent=1) + "\n")
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
