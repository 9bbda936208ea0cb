"""How much of the start belongs in the mean of weights? Each arm's weights of each seed, mixed with
the start in several shares, on the cameras that it saw and on those that it did not.

    python benchmarks/start_share.py runs/generalise imdn-x4 --only "from-realsr/ibsd/*" --seen
    REALSR:test --unseen DREALSR -o benchmarks/results/NAME.json

The first folder holds the run folders of `ibsd compare`. Mixes that the output holds already are
not computed again. PSNR-Y (basicsr-y) over bicubic, the mean over cameras (the name up to the first
`_`). Shares were not chosen by these figures; the protocol's share is 0.5.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean

import torch
from safetensors import safe_open

from ibsd.commands.run_record import versions
from ibsd.comparison.machine import machine_facts
from ibsd.data.pairs import Pair, find_layout
from ibsd.images.rgb import bicubic, read_rgb, to_tensor
from ibsd.metrics.protocols import basicsr_y
from ibsd.students import Student, load_student
from ibsd.students.ema import mixed

SCALE = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("start")
    parser.add_argument("--only", nargs="+", required=True, metavar="SETTING/ARM/SEED")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.7, 0.5, 0.3, 0.0])
    parser.add_argument("--seen", required=True, metavar="FOLDER[:SPLIT]")
    parser.add_argument("--unseen", required=True, metavar="FOLDER[:SPLIT]")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    output: Path = arguments.output
    if output.is_file():
        result = json.loads(output.read_text())
    else:
        machine = machine_facts(torch.device("cpu"))
        result = {"machine": machine, "versions": versions(), "mixes": {}}
    mixes: dict[str, dict[str, dict[str, float]]] = result["mixes"]
    start = load_student(arguments.start)
    sets = {"seen": pairs_of(arguments.seen), "unseen": pairs_of(arguments.unseen)}
    enlarged = {name: [of_bicubic(pair) for pair in pairs] for name, pairs in sets.items()}
    for share in arguments.shares:
        for name, file in named_runs(arguments.runs, arguments.only).items():
            if f"{share:g}" in mixes.setdefault(name, {}):
                continue
            student = mixed(start, load_student(file), share)
            gains = {key: gain(student, sets[key], enlarged[key]) for key in sets}
            mixes[name][f"{share:g}"] = gains
            print(f"{name:24} share of the start {share:g}:", gains, flush=True)
            output.write_text(json.dumps(result, indent=1) + "\n")


def named_runs(folder: Path, patterns: Sequence[str]) -> dict[str, Path]:
    """{"setting/arm/seed": averaged weights} of the finished runs, seed by seed."""
    files: dict[str, Path] = {}
    for file in folder.glob("*/last.safetensors"):
        with safe_open(file, "pt") as opened:
            files[opened.metadata()["run"]] = file
    names = [name for name in files if any(fnmatch(name, pattern) for pattern in patterns)]
    return {name: files[name] for name in sorted(names, key=lambda name: name.split("/")[::-1])}


def pairs_of(place: str) -> Sequence[Pair]:
    folder, _, split = place.partition(":")
    sets = find_layout(Path(folder))
    return sets.by_split()[split] if split else sets.all()


def tensors(pair: Pair) -> tuple[torch.Tensor, torch.Tensor]:
    return to_tensor(read_rgb(pair.lr)), to_tensor(read_rgb(pair.hr))


def of_bicubic(pair: Pair) -> float:
    lr, hr = tensors(pair)
    return psnr_y(bicubic(lr, SCALE), hr)


def psnr_y(sr: torch.Tensor, hr: torch.Tensor) -> float:
    return float(basicsr_y(sr, hr, SCALE)["psnr_y"])


def gain(student: Student, pairs: Sequence[Pair], references: Sequence[float]) -> float:
    """The mean over cameras of PSNR-Y over bicubic."""
    by_camera: dict[str, list[float]] = defaultdict(list)
    for pair, reference in zip(pairs, references, strict=True):
        lr, hr = tensors(pair)
        with torch.inference_mode():
            by_camera[pair.name.partition("_")[0]].append(psnr_y(student(lr), hr) - reference)
    return mean(mean(gains) for gains in by_camera.values())


if __name__ == "__main__":
    main()
