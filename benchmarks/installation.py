"""From an empty environment to the first upscaled photograph, with each Python that is named.

    python benchmarks/installation.py python3.11 python3.12 -o benchmarks/results/installation.json

Builds the sdist, and the wheel from it, of the last commit, and lets twine check both. Then, for
each Python, it makes an environment, downloads what the wheel needs, installs it from pip's cache,
and upscales a photograph of 640x480. Needs git and a package index.

`wall` is by the clock, with the machine's other work; `processor` is what the step computed, on all
cores. The download is that of users who get the wheel from an index; without the wheel itself it is
`downloaded for a checkout`. What builds pyvips (1 MB of setuptools) comes on top.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ibsd.commands.run_record import versions
from ibsd.comparison.machine import machine_facts
from ibsd.data.samples import sample
from ibsd.system import write_whole

ROOT = Path(__file__).parents[1]
BYTES_A_SECOND = 10e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder)
        result = {
            "pythons": [
                installed(python, wheel, folder / str(number))
                for number, python in enumerate(options.pythons)
            ],
            "machine": machine_facts(torch.device("cpu")),
            "versions": versions(),
        }
    write_whole(options.output, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["pythons"], indent=1))


def build(folder: Path) -> Path:
    """The wheel of the last commit, made from its sdist."""
    archive = run("git", "archive", "HEAD", folder=ROOT)
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder / "source", filter="data")
    run("python3", "-m", "venv", "tools", folder=folder)
    tools = folder / "tools/bin"
    run(tools / "pip", "install", "-qq", "build", "twine", folder=folder)
    run(tools / "python", "-m", "build", "-o", "dist", "source", folder=folder)
    run(tools / "twine", "check", "--strict", *(folder / "dist").iterdir(), folder=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def installed(python: str, wheel: Path, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    photograph = Image.fromarray(sample("coffee")).resize((640, 480))
    photograph.save(folder / "photo.jpg", quality=92)
    load = os.getloadavg()[0]
    environment = timed(python, "-m", "venv", "venv", folder=folder)
    programs = folder / "venv/bin"
    empty = size(folder / "venv")
    pip = (programs / "pip", "-qq", "--cache-dir", folder / "cache")
    run(*pip, "download", "-d", "files", wheel, folder=folder)
    steps = {
        "environment": environment,
        "installation": timed(*pip, "install", wheel, folder=folder),
        "first photograph": timed(
            programs / "ibsd", "upscale", "photo.jpg", "-o", "large.jpg", folder=folder
        ),
    }
    with Image.open(folder / "large.jpg") as large:
        assert large.size == (2560, 1920)
    files = {path.name: path.stat().st_size for path in (folder / "files").iterdir()}
    download = sum(files.values())
    seconds = {
        clock: round(download / BYTES_A_SECOND + sum(step[clock] for step in steps.values()), 1)
        for clock in ("wall", "processor")
    }
    return {
        "python": run(programs / "python", "-V", folder=folder).decode().split()[1],
        "downloaded bytes": download,
        "downloaded for a checkout": download - wheel.stat().st_size,
        "installed bytes": size(folder / "venv") - empty,
        "seconds": steps,
        "seconds with the download at 10 MB/s": seconds,
        "load before": round(load, 1),
        "files over 1 MB": {name: count for name, count in files.items() if count > 1e6},
    }


def run(*command: str | Path, folder: Path) -> bytes:
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True).stdout


def timed(*command: str | Path, folder: Path) -> dict[str, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(*command, folder=folder)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": round(wall, 1), "processor": round(processor, 1)}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
