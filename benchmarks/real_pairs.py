"""Do the committed configs gain what the README says on real pairs?

    python benchmarks/real_pairs.py PAIRS RUN... -o benchmarks/results/NAME.json

PAIRS is a folder in the published layout, RUN the folder of a finished `ibsd train`. Scores the
running average and the raw weights of the last step on the `test` split under every protocol, and
writes them with settings, course, time, hardware and versions. One run each: no conclusion.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ibsd.comparison.machine import machine_facts
from ibsd.data.integrity import check_pairs
from ibsd.data.pairs import find_layout
from ibsd.evaluation.scores import evaluate
from ibsd.students import load_student
from ibsd.training.tracking import read_json_lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()

    runs = {run.name: json.loads((run / "run.json").read_text()) for run in arguments.runs}
    students = {
        f"{run.name}, {kind}": load_student(run / f"{name}.safetensors")
        for run in arguments.runs
        for kind, name in (("ema", "last"), ("raw", "last-raw"))
    }
    scale = next(iter(students.values())).spec.scale
    test = find_layout(arguments.pairs).test
    check_pairs(test, scale)
    table = evaluate(students, test, scale)
    result = {
        "machine": machine_facts(next(next(iter(students.values())).parameters()).device),
        "test": {"images": len(test), "means": table.means},
        "runs": {run.name: summary(run, runs[run.name]) for run in arguments.runs},
        "per_image": {
            "images": [row.image for row in table.rows if row.method == "bicubic"],
            **{
                method: [
                    round(row.scores["basicsr-y"]["psnr_y"], 4)
                    for row in table.rows
                    if row.method == method
                ]
                for method in table.methods
            },
        },
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    for method, means in table.means.items():
        gain = means["basicsr-y"]["psnr_y"] - table.means["bicubic"]["basicsr-y"]["psnr_y"]
        print(
            f"{method:32} {means['basicsr-y']['psnr_y']:.3f} dB PSNR-Y ({gain:+.3f})   "
            f"LPIPS {means['ibsd-cdc']['lpips']:.4f}"
        )


def summary(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Settings without paths, versions, time, and the course of the validation score."""
    config = facts["config"]
    config = {section: config[section] for section in ("student", "objective", "training")} | {
        "data": {key: config["data"][key] for key in ("batch_size", "patch_px", "augment")},
        "run": {key: config["run"][key] for key in ("seed", "threads")},
    }
    lines = read_json_lines(folder / "log.jsonl")
    course = {line["step"]: round(line["val/psnr_y"], 4) for line in lines if "val/psnr_y" in line}
    figures = {
        line["step"]: {key: value for key, value in line.items() if "/" in key}
        for line in lines
        if "bound/link1" in line
    }
    return {
        "config": config,
        "versions": facts["versions"],
        "result": facts["result"],
        "val_psnr_y": course,
        "health": figures,
    }


if __name__ == "__main__":
    main()
