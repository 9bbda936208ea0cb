"""What `ibsd upscale --cluster` costs beside the network. Needs pip install 'ibsd[cluster]'.

    python benchmarks/cluster_scale.py manifest    # start and resume with a million names
    python benchmarks/cluster_scale.py calls       # processor time of the engine for each file
    python benchmarks/cluster_scale.py workers     # growth with 1, 2 and 8 workers that only wait
    python benchmarks/cluster_scale.py network     # 1 and 2 workers with a network, at 512 x 512

-o FILE keeps the figures of each part in a JSON file, beside those of other parts.

Processor time is that of all processes, Ray's included, so another load does not count. `workers`
uses a network that waits for half a second, so it measures the engine and not the cores. `network`
tells the workers' processor time from that of all else, which is the engine's: mostly of processes
of Ray that cost the same each second, with work or without.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import torch

import ibsd
from ibsd.cluster import engine
from ibsd.cluster.engine import Job, Workers
from ibsd.cluster.listing import listed, refuse_existing_targets, rows_of
from ibsd.cluster.manifest import Row, opened
from ibsd.cluster.worker import Upscaling
from ibsd.commands.upscale_cluster import open_fast
from ibsd.comparison.machine import machine_facts
from ibsd.images.rgb import write_rgb
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.system import largest_resident_bytes, write_whole
from ibsd.weights import default_weights, named_or_file

NAMES = 1_000_000
LEFT = 1000
SETTINGS = {"benchmark": True}
SHOWN: list[dict[str, float]] = []
OPTIONS = {"backend": "auto", "precision": "auto", "device": "cpu"}


def open_waiting(seconds: float) -> Network:
    """Waits, and repeats pixels."""

    def run(lr: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return lr.repeat(2, axis=2).repeat(2, axis=3)

    return Network(NetworkDescriptor("waits", 2, 0, pools_globally=False, minimum_size_px=1), run)


def measure_manifest() -> None:
    """Each in a process of its own, for its memory."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"photos/{k // 1000:04}/scan-{k:08}.jpg" for k in range(NAMES)]
        parquet.write_table(pa.table({"path": names}), Path(folder) / "list.parquet")
        out = Path(folder) / "out"
        with opened(str(out), SETTINGS) as manifest:
            for name in names[:-LEFT]:
                source, target = f"{folder}/{name}", str(out / name.removeprefix("photos/"))
                manifest.add(
                    Row(source, target, "done", None, None, 0.5, 1, "north", ibsd.__version__)
                )
        for step in ("start", "resume"):
            command = [sys.executable, __file__, step, "--folder", folder]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            show(**json.loads(said))


def plan(folder: Path, resume: bool) -> dict[str, Any]:
    """From the list of names to the first job."""
    before = largest_resident_bytes()
    clock, processor = time.perf_counter(), time.process_time()
    out = folder / ("out" if resume else "fresh")
    jobs = listed([str(folder / "list.parquet")], str(out)).jobs
    if resume:
        with opened(str(out), SETTINGS) as manifest:
            jobs = manifest.unsettled(jobs)
    else:
        refuse_existing_targets(jobs, str(out))
    next(rows_of(jobs))
    return {
        "resumes": resume,
        "names": NAMES,
        "to do": len(jobs),
        "wall_seconds": round(time.perf_counter() - clock, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "mib_before": before // 2**20,
        "mib_at_most": largest_resident_bytes() // 2**20,
    }


def processor_seconds() -> tuple[float, float]:
    """Of workers, and of this process and all else that it has started, as long as they live."""
    import_module("ray")  # which brings psutil
    psutil: Any = import_module("psutil")
    used = resource.getrusage(resource.RUSAGE_SELF)
    of_workers, of_others = 0.0, used.ru_utime + used.ru_stime
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        if "ray::Worker" in " ".join(child.cmdline()):
            of_workers += times.user + times.system
        else:
            of_others += times.user + times.system
    return of_workers, of_others


def measure_calls(number: int) -> None:
    """Targets exist already, so that a call does nothing but travel."""
    with tempfile.TemporaryDirectory() as folder, engine.connected("local"):
        target = Path(folder) / "a.png"
        target.touch()
        workers = Workers(Upscaling(partial(open_waiting, 0), keep_existing=True), "cpu", 2, print)
        jobs = [Job("a.png", str(target))] * number
        for _ in workers.results(iter(jobs[:200])):
            pass
        clock, processor = time.perf_counter(), sum(processor_seconds())
        with opened(f"{folder}/out", SETTINGS) as manifest:
            for job, made in workers.results(iter(jobs)):
                manifest.add(
                    Row(*job[:2], "done", None, None, made.seconds, 1, made.node, ibsd.__version__)
                )
        show(
            files=number,
            processor_ms_each=1000 * (sum(processor_seconds()) - processor) / number,
            wall_ms_each=1000 * (time.perf_counter() - clock) / number,
        )


def measure_workers(
    numbers: tuple[int, ...], each: int, pixels: np.ndarray, open: Callable[[], Network]
) -> None:
    import ray

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "a.png"
        write_rgb(picture, pixels)
        ray.init("local", num_cpus=8, include_dashboard=False, log_to_driver=False)
        for number in numbers:
            workers = Workers(Upscaling(open), "cpu", number, print)
            jobs = [
                Job(str(picture), f"{folder}/{number}-{k}.png") for k in range((each + 1) * number)
            ]
            for _ in workers.results(iter(jobs[:number])):  # until all are there
                pass
            while len(workers.hands) < number or any(hand.calls for hand in workers.hands):
                list(workers._ended(more=True))
            clock, before = time.perf_counter(), processor_seconds()
            for _ in workers.results(iter(jobs[number:])):
                pass
            files, seconds = each * number, time.perf_counter() - clock
            of_workers, of_others = np.subtract(processor_seconds(), before)
            show(
                workers=number,
                files=files,
                files_per_second=files / seconds,
                processor_seconds_of_workers_each=of_workers / files,
                processor_seconds_of_all_else_each=of_others / files,
                cores_of_all_else=of_others / seconds,
            )
            for hand in workers.hands:
                ray.kill(hand.actor)
        ray.shutdown()


def show(**figures: float) -> None:
    SHOWN.append({name: round(value, 3) for name, value in figures.items()})
    print(json.dumps(SHOWN[-1]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "part", choices=("manifest", "calls", "workers", "network", "start", "resume")
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    part, folder, output = vars(parser.parse_args()).values()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    if part in ("start", "resume"):
        print(json.dumps(plan(folder, part == "resume")), flush=True)
    elif part == "manifest":
        measure_manifest()
    elif part == "calls":
        measure_calls(5000)
    elif part == "workers":
        measure_workers((1, 2, 8), 20, np.zeros((8, 8, 3), np.uint8), partial(open_waiting, 0.5))
    else:
        blocks = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        opening = partial(open_fast, named_or_file(default_weights(4)), 0.0, OPTIONS)
        measure_workers((1, 2), 8, blocks.repeat(8, axis=0).repeat(8, axis=1), opening)
    if output:
        kept = json.loads(output.read_text()) if output.exists() else {}
        kept |= machine_facts(torch.device("cpu")) | {part: SHOWN}
        write_whole(output, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
