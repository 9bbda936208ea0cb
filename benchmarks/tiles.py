"""What tiles change: every network of the registry, tiled against whole pictures, as a table for docs/tiling.md.

    python benchmarks/tiles.py                              # trains each for --steps on the embedded samples first: about 5 minutes a network
    python benchmarks/tiles.py --weights a.safetensors b.safetensors --pictures FOLDER

For each network, over all pictures larger than a tile: the lowest PSNR of tiled to whole (peak 1, clamped, not rounded); and, in 8-bit
levels, what tiling adds to the step between the two pixels on either side of a tile's border: the largest at a single pixel, and the
largest mean over 64 pixels along the border, which is what an eye would see as a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from ibsd.assembly import train
from ibsd.config import Config, DataConfig, ObjectiveConfig, RunConfig, ScheduleConfig, StudentConfig, TrainingConfig
from ibsd.data.samples import sample, sample_names, write_sample_pairs
from ibsd.export import save_student
from ibsd.images import read_rgb
from ibsd.students import STUDENTS, create_student, load_student
from ibsd.upscaling.network import TorchNetwork
from ibsd.upscaling.strips import tile_and_overlap
from ibsd.upscaling.tiling import spans, tiled

SCALE = 4
RUN_PX = 64


def trained(name: str, folder: Path, num_steps: int) -> Path:
    """Weights of the network at its published size; one that pools is trained for a short while, so that its attention has something to say."""
    torch.manual_seed(0)
    student = create_student(name, SCALE)
    if not student.spec.pools_globally:  # tiles equal the whole whatever the weights
        return save_student(student, folder / f"{name}.safetensors")
    if not (folder / "pairs").exists():
        write_sample_pairs(folder / "pairs", SCALE)
    config = Config(
        StudentConfig(name, SCALE, {}),
        DataConfig(pairs=str(folder / "pairs"), batch_size=4, patch_px=24),
        ObjectiveConfig("plain", {}),
        TrainingConfig(
            num_steps=num_steps,
            learning_rate=1e-3,
            schedule=ScheduleConfig("cosine", warm_up=30),
            ema_decay=0.99,
            validate_every=num_steps,
            checkpoint_every=0,
        ),
        RunConfig(folder=str(folder / name), device="cpu", threads=torch.get_num_threads()),
    )
    train(config)
    return folder / name / "last.safetensors"


def added_steps(parts: np.ndarray, whole: np.ndarray, tile_px: int, overlap_px: int) -> tuple[float, float]:
    """(largest at one pixel, largest mean along `RUN_PX`) in 8-bit levels, over all tile borders; channels apart."""
    single = along = 0.0
    for axis in (2, 3):
        for span in spans(whole.shape[axis] // SCALE, tile_px, overlap_px)[1:]:
            border = span.kept_from * SCALE
            at, before = (np.take(parts, place, axis) - np.take(whole, place, axis) for place in (border, border - 1))
            added = 255 * (at - before)[0]
            single = max(single, float(np.abs(added).max()))
            runs = added[:, : added.shape[1] // RUN_PX * RUN_PX].reshape(3, -1, RUN_PX)
            along = max(along, float(np.abs(runs.mean(axis=2)).max()))
    return single, along


def measured(weights: Path, pictures: list[np.ndarray]) -> dict[str, object]:
    student = load_student(weights)
    network = TorchNetwork(student)
    tile_px, overlap_px = tile_and_overlap("auto", network)
    rows = []
    for picture in pictures:
        if max(picture.shape) <= tile_px:
            continue
        lr = picture.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
        whole, parts = network(lr), tiled(network, lr, SCALE, tile_px, overlap_px)
        error = float(np.mean((np.clip(parts, 0, 1) - np.clip(whole, 0, 1)) ** 2))
        rows.append(
            (-10 * np.log10(max(error, 1e-15)), float(np.abs(parts - whole).max()) * 255, *added_steps(parts, whole, tile_px, overlap_px))
        )
    psnr, largest, single, along = zip(*rows, strict=True)
    return {
        "network": student.spec.name,
        "pools_globally": student.spec.pools_globally,
        "tile_px": tile_px,
        "overlap_px": overlap_px,
        "pictures": len(rows),
        "lowest_psnr_db": round(min(psnr), 1),
        "largest_difference_levels": round(max(largest), 3),
        "largest_step_levels": round(max(single), 3),
        "largest_mean_step_levels": round(max(along), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="+", help="x4 weights; by default every network of the registry is trained here")
    parser.add_argument("--pictures", type=Path, help="a folder of 8-bit pictures; by default the embedded ones")
    parser.add_argument("--networks", nargs="+", default=list(STUDENTS), help="which of the registry")
    parser.add_argument("--samples", nargs="+", default=list(sample_names()), help="which of the embedded ones")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--keep", type=Path, help="a folder for the weights trained here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures = (
        [read_rgb(path) for path in sorted(options.pictures.iterdir())] if options.pictures else [sample(name) for name in options.samples]
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for weights in options.weights or (trained(name, folder, options.steps) for name in options.networks):
            print(json.dumps(measured(weights, pictures)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
