"""What tiles change: every network of the registry, tiled against whole pictures, as a table for
docs/performance.md.

    python benchmarks/tiles.py                              # trains each for --steps on the
    embedded samples first: about 5 minutes a network python benchmarks/tiles.py --weights imdn-x4
    b.safetensors --pictures FOLDER -o FILE.json     # goes on where it was stopped

For each network, over all pictures larger than a tile: the lowest PSNR of tiled to whole (peak 1,
clamped, not rounded), and the largest difference. And the seams: what going over from one tile to
the next adds to the step between two adjacent pixels, in 8-bit levels: the largest at a single
pixel, and the largest mean over 64 pixels along a border, which is what an eye would see as a line;
first as if the border were sharp, then blended as `ibsd upscale` does it. Between two pixels, of
which the later tile B has the shares v and w and the earlier one A the rest, that is w - v times
the mean of B - A at the two.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibsd.commands.train import train
from ibsd.config.run import (
    Config,
    DataConfig,
    ObjectiveConfig,
    RunConfig,
    StudentConfig,
)
from ibsd.data.samples import sample, sample_names, write_sample_pairs
from ibsd.export import save_student
from ibsd.images.rgb import read_rgb
from ibsd.inference.network import Network, torch_network
from ibsd.students import STUDENTS, Student, create_student, load_student
from ibsd.training import Schedule, TrainingOptions
from ibsd.upscaling.strips import tiles_for
from ibsd.upscaling.tiling import Span, spans, tiled

SCALE = 4
"""Of the networks trained here; weights have their own."""
RUN_PX = 64


def trained(name: str, folder: Path, num_steps: int) -> Path:
    """Weights of the network at its published size; one that pools is trained for a short while, so
    that its attention has something to say."""
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
        TrainingOptions(
            num_steps=num_steps,
            learning_rate=1e-3,
            schedule=Schedule("cosine", warm_up=30),
            ema_decay=0.99,
            validate_every=num_steps,
            checkpoint_every=0,
        ),
        RunConfig(folder=str(folder / name), device="cpu", threads=torch.get_num_threads()),
    )
    train(config)
    return folder / name / "last.safetensors"


def remembering(network: Network) -> Network:
    """Runs the network once for every tile of a picture."""
    known: dict[bytes, np.ndarray] = {}

    def run(lr: np.ndarray) -> np.ndarray:
        key = lr.tobytes()
        if key not in known:
            known[key] = network(lr)
        return known[key]

    return Network(network.descriptor, run)


def seams(
    network: Network, lr: np.ndarray, tile_px: int, overlap_px: int, blend_px: int
) -> tuple[float, float]:
    """(largest at one pixel, largest mean along `RUN_PX`) of the steps that two neighbouring tiles
    add, over all borders and channels."""
    scale = network.scale
    rows, columns = (spans(length, tile_px, overlap_px) for length in lr.shape[2:])

    def levels(row: Span, column: Span) -> np.ndarray:
        sr = network(
            np.ascontiguousarray(
                lr[..., row.start : row.start + tile_px, column.start : column.start + tile_px]
            )
        )[0]
        return 255 * sr.clip(0, 1)

    def along_columns(
        earlier: np.ndarray, later: np.ndarray, first: Span, second: Span, across: Span
    ) -> tuple[float, float]:
        """Tiles [3, h, w] one below the other."""
        border, reach = second.kept_from * scale, max(1, blend_px * scale)
        above, below = (
            tile[:, border - reach - span.start * scale : border + reach - span.start * scale]
            for tile, span in ((earlier, first), (later, second))
        )
        apart = (below - above)[
            :,
            :,
            (across.kept_from - across.start) * scale : (across.kept_to - across.start) * scale,
        ]
        step = (apart[:, 1:] + apart[:, :-1]) / 2 / (2 * reach if blend_px else 1)
        runs = step[:, :, : step.shape[2] // RUN_PX * RUN_PX].reshape(*step.shape[:2], -1, RUN_PX)
        return float(np.abs(step).max()), float(np.abs(runs.mean(axis=3)).max(initial=0))

    found = [(0.0, 0.0)]
    for above, below in pairwise(rows):
        found += [
            along_columns(levels(above, column), levels(below, column), above, below, column)
            for column in columns
        ]
    for left, right in pairwise(columns):
        found += [
            along_columns(
                levels(row, left).swapaxes(1, 2),
                levels(row, right).swapaxes(1, 2),
                left,
                right,
                row,
            )
            for row in rows
        ]
    return max(one for one, _ in found), max(line for _, line in found)


def measured(student: Student, picture: np.ndarray) -> dict[str, Any]:
    """What tiles change of one picture, uint8 [H, W, 3], and the steps at their borders, sharp and
    blended."""
    original, scale = torch_network(student), student.spec.scale
    network = remembering(original)
    tiles = tiles_for("auto", network)
    lr = picture.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    whole, parts = (np.clip(sr, 0, 1) for sr in (original(lr), tiled(network, lr, scale, *tiles)))
    error = float(np.mean((parts - whole) ** 2))
    return {
        "psnr_db": round(float(-10 * np.log10(max(error, 1e-15))), 1),
        "difference": round(float(np.abs(parts - whole).max()) * 255, 3),
        "sharp": [
            round(value, 3) for value in seams(network, lr, tiles.tile_px, tiles.overlap_px, 0)
        ],
        "blended": [round(value, 3) for value in seams(network, lr, *tiles)],
    }


def worst(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Over all pictures."""
    steps = {
        f"{kind}_{name}_levels": max(row[kind][k] for row in rows.values())
        for kind in ("sharp", "blended")
        for k, name in enumerate(("largest_step", "largest_mean_step"))
    }
    lowest = min(row["psnr_db"] for row in rows.values())
    return {
        "lowest_psnr_db": lowest,
        "largest_difference_levels": max(row["difference"] for row in rows.values()),
        **steps,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        help="files, or names from ibsd models; by default networks are trained here, x4",
    )
    parser.add_argument(
        "--pictures", type=Path, help="a folder of 8-bit pictures; by default the embedded ones"
    )
    parser.add_argument(
        "--networks", nargs="+", default=list(STUDENTS), help="which of the registry"
    )
    parser.add_argument(
        "--samples", nargs="+", default=list(sample_names()), help="which of the embedded ones"
    )
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--keep", type=Path, help="a folder for the weights trained here")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="JSON, written after every picture; what it holds already is not done again",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures = {name: sample(name) for name in options.samples} if options.pictures is None else {}
    pictures |= (
        {path.name: read_rgb(path) for path in sorted(options.pictures.iterdir())}
        if options.pictures
        else {}
    )
    table = (
        json.loads(options.output.read_text()) if options.output and options.output.exists() else {}
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        for weights in options.weights or (
            trained(name, folder, options.steps) for name in options.networks
        ):
            # pyright: ignore[reportCallIssue]
            student = load_student(weights).to(memory_format=torch.channels_last)
            spec, tiles = student.spec, tiles_for("auto", torch_network(student))
            trained_here = (
                "" if options.weights else f", {options.steps if spec.pools_globally else 0} steps"
            )
            name = Path(weights).stem if options.weights else spec.name
            key = f"{name} x{spec.scale}{trained_here}"
            rows = table.get(key, {}).get("pictures", {})
            for name, picture in pictures.items():
                if name in rows or max(picture.shape) <= tiles.tile_px:
                    continue
                rows[name] = measured(student, picture)
                facts = {
                    "network": spec.name,
                    "pools_globally": spec.pools_globally,
                    **tiles._asdict(),
                }
                table[key] = facts | {"num_pictures": len(rows), **worst(rows), "pictures": rows}
                print(key, name, json.dumps(rows[name]), file=sys.stderr, flush=True)
                if options.output:
                    options.output.write_text(json.dumps(table, indent=1) + "\n")
            print(
                key,
                json.dumps(
                    {name: value for name, value in table[key].items() if name != "pictures"}
                ),
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
