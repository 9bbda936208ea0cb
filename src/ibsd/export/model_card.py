"""What goes with weights that are given away: a model card for people and an entry for
OpenModelDB."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ibsd.students import load_student
from ibsd.types import InputError

LICENCE = "MIT"
TITLES = {
    "real": "real pairs",
    "clean": "`clean`",
    "camera": "`camera`",
    "web": "`web`",
    "old-photo": "`old-photo`",
}


def facts_of_file(path: Path) -> dict[str, Any]:
    """What `ibsd train` wrote into the file: {"student": ..., "run": {"config", "data",
    "versions"}, "step", ...}. InputError if nothing."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
    if "run" not in metadata:
        raise InputError(
            f"{path} does not say how it was trained: name weights that ibsd train has written"
        )
    return {
        key: json.loads(value) if key in ("run", "student", "earlier") else value
        for key, value in metadata.items()
    }


def model_card(
    path: Path,
    scores: Mapping[str, Mapping[str, Mapping[str, float]]],
    story: str,
    photographs: str,
    limits: str,
) -> str:
    """The card in Markdown.

    Args:
        path: the weight file, whose name is the model's.
        scores: {test set: {method: {metric: value}}}, as benchmarks/peers.py writes them; the model
            stands there under its name.
        story: how it was trained, beyond what the file says of itself.
        photographs: where the training pictures come from, and their licences.
        limits: what it is bad at.
    """
    facts, student = facts_of_file(path), load_student(path)
    size = sum(parameter.numel() for parameter in student.parameters())
    name = path.stem
    lines = [
        f"# {name}",
        "",
        f"{student.spec.name} at x{student.spec.scale}, {size:,} parameters, {path.stat().st_size / 1024:,.0f} KiB. "
        f"Licence of the weights: {LICENCE}.",
        "",
        f"    ibsd upscale photo.jpg -o large.png --weights {name}",
        "",
        "## Data",
        "",
        photographs,
        "",
        "## Training",
        "",
        story,
        "",
    ]
    for which, run in (
        ("", facts),
        *(
            (f", stage {number} before", run)
            for number, run in enumerate(facts.get("earlier", []), start=1)
        ),
    ):
        config, versions, data = (run["run"][key] for key in ("config", "versions", "data"))
        lines += [
            f"The run that made the file{which}: {int(run['step']):,} steps, commit `{versions.get('commit', 'unknown')}`,"
            f" torch {versions['torch']}; photographs of fingerprint `{data.get('photographs', data['train'])[:16]}`.",
            "",
            "```json",
            json.dumps(
                {
                    section: config[section]
                    for section in ("student", "data", "objective", "training")
                },
                indent=1,
            ),
            "```",
            "",
        ]
    lines += [
        "## Scores",
        "",
        "PSNR-Y and SSIM as basicsr computes them, LPIPS with AlexNet; differences to bicubic.",
        "",
    ]
    lines += ["| pictures | PSNR-Y | SSIM | LPIPS |", "|---|---|---|---|"]
    for test, methods in scores.items():
        if name in methods and test in TITLES:
            own, base = methods[name], methods["bicubic"]
            cells = [
                f"{own[metric]:.{digits}f} ({own[metric] - base[metric]:+.{digits}f})"
                for metric, digits in METRICS.items()
            ]
            lines.append(f"| {TITLES[test]} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "## Limits", "", limits, ""])


METRICS = {"psnr_y": 2, "ssim_y": 4, "lpips": 4}


def openmodeldb_entry(
    path: Path, description: str, date: str, author: str = "ibsd"
) -> dict[str, Any]:
    """The model as an entry of OpenModelDB (openmodeldb.info, its models/*.json), without
    addresses: where it is put is not known here."""
    facts, student = facts_of_file(path), load_student(path)
    config, content = facts["run"]["config"], path.read_bytes()
    return {
        "name": path.stem,
        "author": author,
        "license": LICENCE,
        "tags": ["general-upscaler", "photo"],
        "description": description,
        "date": date,
        "architecture": student.spec.name,
        "size": [f"{student.spec.channels}nf"],
        "scale": student.spec.scale,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [
            {
                "platform": "pytorch",
                "type": "safetensors",
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "urls": [],
            }
        ],
        "trainingIterations": int(facts["step"])
        + sum(int(run["step"]) for run in facts.get("earlier", [])),
        "trainingBatchSize": config["data"]["batch_size"],
        "trainingHRSize": config["data"]["patch_px"] * student.spec.scale,
        "dataset": "sharp photographs under free licences, degraded while training",
        "images": [],
    }
