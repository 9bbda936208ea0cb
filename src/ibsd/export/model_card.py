"""The texts that go with published weights: a model card, and an entry for OpenModelDB."""

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
"""Names of the test sets in the card."""
METRICS = {"psnr_y": 2, "ssim_y": 4, "lpips": 4}
"""The card's metrics and their decimals."""


def training_metadata(path: Path) -> dict[str, Any]:
    """The metadata that `ibsd train` wrote into a weight file: {"student": ..., "run": {"config",
    "data", "versions"}, "step", ...}. InputError if there are none."""
    opened: Any = safe_open(path, framework="pt")
    with opened as file:
        metadata: dict[str, str] = file.metadata() or {}
    if "run" not in metadata:
        raise InputError(f"{path} does not say how it was trained: name weights of ibsd train")
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
        scores: {test set: {method: {metric: value}}}, as benchmarks/peers.py writes them. The model
            is the method of its own name.
        story: how it was trained, beyond the file's metadata.
        photographs: where the training images come from, and their licences.
        limits: what it is bad at.
    """
    metadata = training_metadata(path)
    student = load_student(path)
    num_parameters = sum(parameter.numel() for parameter in student.parameters())
    name = path.stem
    repairs = student.spec.scale == 1
    base_name = "the photograph itself" if repairs else "bicubic"
    result = "repaired.png" if repairs else "large.png"
    lines = [
        f"# {name}",
        "",
        f"{student.spec.name} at x{student.spec.scale}, {num_parameters:,} parameters, "
        f"{path.stat().st_size / 1024:,.0f} KiB. Licence of the weights: {LICENCE}.",
        "",
        f"    ibsd upscale photo.jpg -o {result} --weights {name}",
        "",
        "## Data",
        "",
        photographs,
        "",
        "## Training",
        "",
        story,
        "",
        *_run_lines("", metadata),
    ]
    for number, earlier in enumerate(metadata.get("earlier", []), start=1):
        lines += _run_lines(f", stage {number} before", earlier)
    lines += [
        "## Scores",
        "",
        "PSNR-Y and SSIM as basicsr computes them, LPIPS with AlexNet; differences to "
        f"{base_name}.",
        "",
        "| pictures | PSNR-Y | SSIM | LPIPS |",
        "|---|---|---|---|",
    ]
    for test, methods in scores.items():
        if name in methods and test in TITLES:
            own = methods[name]
            base = methods["bicubic"]
            cells = [
                f"{own[metric]:.{digits}f} ({own[metric] - base[metric]:+.{digits}f})"
                for metric, digits in METRICS.items()
            ]
            lines.append(f"| {TITLES[test]} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "## Limits", "", limits, ""])


def _run_lines(stage: str, metadata: Mapping[str, Any]) -> list[str]:
    """One training run: its steps, commit, versions and data, and its config."""
    config, versions, data = (metadata["run"][key] for key in ("config", "versions", "data"))
    sections = {key: config[key] for key in ("student", "data", "objective", "training")}
    return [
        f"The run that made the file{stage}: {int(metadata['step']):,} steps, "
        f"commit `{versions.get('commit', 'unknown')}`, torch {versions['torch']}; "
        f"photographs of fingerprint `{data.get('photographs', data['train'])[:16]}`.",
        "",
        "```json",
        json.dumps(sections, indent=1),
        "```",
        "",
    ]


def openmodeldb_entry(
    path: Path, description: str, date: str, author: str = "ibsd"
) -> dict[str, Any]:
    """The model as an entry of OpenModelDB (openmodeldb.info, its models/*.json). Its `urls` are
    empty, because this function does not know where the file will be published."""
    metadata = training_metadata(path)
    student = load_student(path)
    config = metadata["run"]["config"]
    content = path.read_bytes()
    runs = [metadata, *metadata.get("earlier", [])]
    return {
        "name": path.stem,
        "author": author,
        "license": LICENCE,
        "tags": ["general-upscaler" if student.spec.scale > 1 else "restoration", "photo"],
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
        "trainingIterations": sum(int(run["step"]) for run in runs),
        "trainingBatchSize": config["data"]["batch_size"],
        "trainingHRSize": config["data"]["patch_px"] * student.spec.scale,
        "dataset": "sharp photographs under free licences, degraded while training",
        "images": [],
    }
