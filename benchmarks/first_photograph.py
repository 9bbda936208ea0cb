"""How long `ibsd upscale` takes for one photograph, as a process: with everything default, with an
exported model that is named, and on torch. In turn, so that other work on the machine meets all.

    python benchmarks/first_photograph.py -o benchmarks/results/first-photograph.json

`processor` is the time that the process computed, `wall` what passed. The machine's other work is
in `wall` only.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ibsd.commands.run_record import versions
from ibsd.comparison.machine import machine_facts
from ibsd.data.samples import sample
from ibsd.export import export_student
from ibsd.system import write_whole
from ibsd.weights import default_weights


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photograph = Image.fromarray(sample("coffee")).resize(tuple(options.size))
        photograph.save(folder / "photo.jpg", quality=92)
        model, _ = export_student(default_weights(), "openvino", folder / "model.xml")
        ways = {
            "default": [],
            "exported model": ["--weights", str(model)],
            "torch": ["--backend", "torch"],
        }
        rounds = [
            {way: timed(folder, extra) for way, extra in ways.items()}
            for _ in range(options.repeats)
        ]
    medians = {
        way: {
            clock: statistics.median(taken[way][clock] for taken in rounds)
            for clock in ("wall", "processor")
        }
        for way in ways
    }
    ratio = np.median(
        [taken["default"]["processor"] / taken["exported model"]["processor"] for taken in rounds]
    )
    result = {
        "size": options.size,
        "seconds": medians,
        "default over exported model, processor time": round(float(ratio), 3),
        "rounds": rounds,
        "machine": machine_facts(torch.device("cpu")),
        "versions": versions(),
    }
    write_whole(options.output, json.dumps(result, indent=1) + "\n")
    print(json.dumps(medians, indent=1), ratio)


def timed(folder: Path, extra: list[str], ending: str = "jpg") -> dict[str, float]:
    photograph = str(folder / f"photo.{ending}")
    command = [sys.executable, "-m", "ibsd", "upscale", photograph, "--force"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        [*command, "-o", str(folder / f"out.{ending}"), *extra],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "processor": processor}


if __name__ == "__main__":
    main()
