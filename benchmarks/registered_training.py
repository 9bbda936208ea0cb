"""What registration is worth in training: networks trained on pairs that are aligned by the truth,
by `ibsd register`, and by the coarse match alone.

    python benchmarks/registered_training.py PHOTOGRAPHS WORK -o benchmarks/results/NAME.json

PHOTOGRAPHS is a folder of sharp photographs, WORK one for scenes, pairs and runs; what is whole
there already is not made again. Each photograph becomes a planted scene
(`ibsd.registration.planted`): HR, and LR by another camera through a known mapping. All arms have
the same LR crops at the same places in the same order. They differ in HR alone. The test images are
of other scenes and aligned by the truth.

Six seeds of an earlier run spread by 0.15 dB in registered - aligned: 16 make an interval of 0.08
dB each way. Coarse loses 0.43 dB there, and six seeds are enough.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ibsd.commands.register import RegisterOptions, SceneRecord, register_folders
from ibsd.commands.train import train
from ibsd.comparison.machine import machine_facts
from ibsd.config.run import Config, DataConfig, ObjectiveConfig, RunConfig, StudentConfig
from ibsd.data.pairs import find_pairs, images_in
from ibsd.evaluation.scores import evaluate
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.registration import Registered, register_pair
from ibsd.registration.crops import Place, cut
from ibsd.registration.light import blurred, luma
from ibsd.registration.planted import PlantedScene, plant
from ibsd.registration.scene import common_box
from ibsd.students import load_student
from ibsd.training.options import TrainingOptions
from ibsd.training.schedule import Schedule

SCALE = 2
NUM_TRAIN = 36
NUM_TEST = 12
LEAST_SIDE_PX = 700
CROP_PX = 64
CROPS = 24
TEST_PX = 192
ARMS = ("aligned", "registered", "coarse")


def planted(photographs: Path) -> list[PlantedScene]:
    """Scenes of the first photographs that are large enough."""
    scenes: list[PlantedScene] = []
    for file in images_in(photographs):
        pixels = read_rgb(file)
        if min(pixels.shape[:2]) >= LEAST_SIDE_PX:
            scenes.append(plant(pixels, SCALE, len(scenes)))
        if len(scenes) == NUM_TRAIN + NUM_TEST:
            return scenes
    raise SystemExit(f"{photographs} holds {len(scenes)} photographs of {LEAST_SIDE_PX} px or more")


def write_photographs(work: Path, scenes: list[PlantedScene]) -> None:
    """near/ and far/, as a user has them, and test/, whose pairs are true."""
    for folder in ("near", "far", "test/LR", "test/HR"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(scenes[:NUM_TRAIN]):
        for folder, pixels in (("near", scene.hr), ("far", scene.lr)):
            file = work / folder / f"{number:02}.png"
            if not file.exists():  # a stopped registration goes on with the same files
                write_rgb(file, pixels)
    for number, scene in enumerate(scenes[NUM_TRAIN:]):
        left, top, right, bottom = (int(side) for side in common_box(scene.mapping))
        left, top = (left + right - TEST_PX) // 2, (top + bottom - TEST_PX) // 2
        for side, pixels, scale in (("LR", scene.lr, 1), ("HR", scene.aligned(SCALE), SCALE)):
            part = pixels[scale * top :, scale * left :][: scale * TEST_PX, : scale * TEST_PX]
            write_rgb(work / "test" / side / f"{number:02}.png", part)


def only_coarse(registered: Registered) -> Registered:
    """As it would be without the fine registration. Colours stay those of the fine one."""
    mapping = replace(registered.coarse, box=registered.fit.mapping.box)
    return replace(registered, fit=replace(registered.fit, mapping=mapping))


def write_arms(work: Path, scenes: list[PlantedScene]) -> list[SceneRecord]:
    """arms/LR and a folder of HR for each arm."""
    options = RegisterOptions(SCALE, crop_px=CROP_PX, crops=CROPS, val=0, test=0)
    result = register_folders(work / "near", work / "far", work / "pairs", options, log=print)
    for folder in ("LR", *ARMS):
        (work / "arms" / folder).mkdir(parents=True, exist_ok=True)
    for record in result.scenes:
        if record.refused:
            print(f"  {record.name}: {record.refused}")
            continue
        scene = scenes[int(record.name)]
        coarse = only_coarse(register_pair(scene.lr, scene.hr, SCALE))
        truth = scene.aligned(SCALE)
        for name in record.crops:
            top, left = (int(part[1:]) for part in Path(name).stem.split("-")[1:])
            [(_, _, moved)] = cut(coarse, scene.lr, scene.hr, [Place(top, left)], CROP_PX)
            side = SCALE * CROP_PX
            true = truth[SCALE * top :, SCALE * left :][:side, :side]
            shutil.copy(work / "pairs" / "train_LR" / name, work / "arms" / "LR" / name)
            shutil.copy(work / "pairs" / "train_HR" / name, work / "arms" / "registered" / name)
            write_rgb(work / "arms" / "aligned" / name, true)
            write_rgb(work / "arms" / "coarse" / name, moved)
    return result.scenes


def against_truth(work: Path, arm: str) -> dict[str, float]:
    """How far an arm's HR is from the aligned one, over all crops: PSNR of luma from the mean
    squared error, mean difference in levels, and the energy of its finest octave over theirs."""
    errors: list[float] = []
    offsets: list[float] = []
    energies: list[tuple[float, float]] = []
    for file in images_in(work / "arms" / arm):
        one, true = (
            luma(read_rgb(work / "arms" / name / file.name).astype(np.float32))
            for name in (arm, "aligned")
        )
        errors.append(float(((one - true) ** 2).mean()))
        offsets.append(float((one - true).mean()))
        energies.append((finest(one), finest(true)))
    own, theirs = (mean(column) for column in zip(*energies, strict=True))
    return {
        "psnr_db": round(10 * math.log10(255**2 / mean(errors)), 2),
        "mean_difference": round(mean(offsets), 3),
        "finest_energy": round(own / theirs, 4),
    }


def finest(plane: NDArray[np.float32]) -> float:
    """Mean square of what a Gaussian blur of one pixel takes away."""
    return float(((plane - blurred(plane, 1.0)) ** 2).mean())


def config_of(work: Path, arm: str, seed: int, num_steps: int) -> Config:
    """A narrow IMDN from scratch, plain training."""
    return Config(
        StudentConfig("imdn", SCALE, {"width": 16, "num_blocks": 3}),
        DataConfig(
            lr=str(work / "arms" / "LR"), hr=str(work / "arms" / arm), batch_size=8, patch_px=32
        ),
        ObjectiveConfig("plain"),
        TrainingOptions(
            num_steps,
            learning_rate=4e-3,
            schedule=Schedule(kind="cosine", warm_up=100),
            ema_decay=0.99,
            validate_every=0,
            checkpoint_every=0,
        ),
        RunConfig(str(work / "runs" / f"{arm}-{seed}"), seed, device="cpu", threads=1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--coarse-seeds", type=int, default=6, help="the first of them")
    parser.add_argument("--steps", type=int, default=1500)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    work: Path = arguments.work
    if not (work / "scenes.json").exists():
        scenes = planted(arguments.photographs)
        write_photographs(work, scenes)
        records = write_arms(work, scenes)
        about = [
            {"crops": len(one.crops), "corner_px": one.corner_px, "refused": one.refused}
            for one in records
        ]
        (work / "scenes.json").write_text(json.dumps(about))
    test = find_pairs(work / "test" / "LR", work / "test" / "HR")
    values: dict[str, list[float]] = {arm: [] for arm in ARMS}
    per_image: dict[str, list[float]] = {}
    bicubic = 0.0
    for seed in range(arguments.seeds):
        for arm in ARMS if seed < arguments.coarse_seeds else ARMS[:2]:
            config = config_of(work, arm, seed, arguments.steps)
            weights = Path(config.run.folder) / "last.safetensors"
            if not weights.exists():
                train(config, resume=True)  # without a checkpoint it begins anew
            table = evaluate({arm: load_student(weights)}, test, SCALE, lpips=False)
            values[arm].append(table.means[arm]["basicsr-y"]["psnr_y"])
            bicubic = table.means["bicubic"]["basicsr-y"]["psnr_y"]
            per_image[f"{arm}, seed {seed}"] = [
                round(row.scores["basicsr-y"]["psnr_y"], 4)
                for row in table.rows
                if row.method == arm
            ]
            print(f"seed {seed} {arm}: {values[arm][-1]:.3f} dB, bicubic {bicubic:.3f}", flush=True)
        write_result(arguments, work, values, per_image, bicubic)


def write_result(
    arguments: argparse.Namespace,
    work: Path,
    values: dict[str, list[float]],
    per_image: dict[str, list[float]],
    bicubic: float,
) -> None:
    """PSNR-Y of each arm and seed, and how far each arm is below the aligned one."""
    differences: dict[str, Any] = {}
    for arm in ARMS[1:]:
        pairs = zip(values[arm], values["aligned"], strict=False)  # the first seeds of the coarse
        each = [value - aligned for value, aligned in pairs]
        differences[f"{arm} - aligned"] = {
            "each_seed": [round(value, 4) for value in each],
            "mean": round(mean(each), 4),
            "seeds": len(each),
            "standard_deviation": round(stdev(each), 4) if len(each) > 1 else None,
        }
        print(f"{arm} - aligned: {mean(each):+.3f} dB", flush=True)
    result = {
        "machine": machine_facts(torch.device("cpu")),
        "settings": {
            "student": "imdn, width 16, num_blocks 3",
            "scale": SCALE,
            "steps": arguments.steps,
            "seeds": len(values["aligned"]),
            "test_images": NUM_TEST,
        },
        "scenes": json.loads((work / "scenes.json").read_text()),
        "hr_against_aligned": {arm: against_truth(work, arm) for arm in ARMS[1:]},
        "psnr_y": {arm: [round(value, 4) for value in values[arm]] for arm in ARMS}
        | {"bicubic": round(bicubic, 4)},
        "differences": differences,
        "per_image": per_image,
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
