"""Weights side by side at 100 %: a row for each of some real pairs, and for each degradation of
photographs inside the package.

    python benchmarks/weights_sheet.py imdn-x4 MINE.safetensors --pairs FOLDER -o
    docs/pictures/NAME.jpg

Of an image the part is shown where the first and the last weights differ most. With
`--photographs` a row for each of these files as it is, beside two networks of peers.py, and
without HR. Its part is where the weights differ most from bicubic. Rows of
docs/pictures/peers.jpg: picosdeeuropa, Picture_0B, Picture_1A (Debian's lomiri-wallpapers), City100
iPhone 035, 055; aitzgorri, friends, life, Wine, City100 Nikon 045; the package's chelsea, coffee,
pavilion, dahlia, rocket, and at JPEG 40 astronaut, dogs; coins, retina, page of scikit-image.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ibsd.data.degradation import degrade
from ibsd.data.pairs import find_layout, load_pair
from ibsd.data.presets import find_preset
from ibsd.data.samples import sample
from ibsd.images.rgb import bicubic, read_rgb, to_array, to_tensor, write_rgb
from ibsd.reporting.pictures import Box, contact_sheet, telling_boxes
from ibsd.students import Student, load_student
from ibsd.types import Scale

PEERS = ("SPAN ClearReality", "Real-ESRGAN x4plus")
CONTEXT_PX = 16
"""What a network sees around its part, in LR pixels."""
PART_PX = 192
MOST_PX = 480
DEGRADED = {
    "clean": "coffee",
    "sharpened": "pavilion",
    "phone": "astronaut",
    "blocks": "chelsea",
    "grain": "astronaut",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--photographs", type=Path, nargs="+", default=[])
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    students = {Path(name).stem: load_student(name) for name in arguments.weights}
    [scale] = {student.spec.scale for student in students.values()}
    if arguments.photographs:
        sheet = photographs_sheet(arguments.photographs, students, scale)
        write_rgb(arguments.output, sheet)
        return
    pairs = [load_pair(pair) for pair in find_layout(arguments.pairs).all()]
    for preset, name in DEGRADED.items():
        hr = middle(sample(name))
        generator = torch.Generator().manual_seed(arguments.seed)
        lr = degrade(to_tensor(hr), scale, find_preset(preset), generator)
        pairs.append((to_array(lr), hr))
    rows: list[list[np.ndarray]] = []
    for lr, hr in pairs:
        with torch.inference_mode():
            srs = [net(to_tensor(lr)) for net in students.values()]
        images = [to_array(image) for image in (bicubic(to_tensor(lr), scale), *srs)]
        [box] = telling_boxes((images[1], images[-1]), PART_PX, PART_PX, 1)
        rows.append([box.of(image) for image in (*images, hr)])
    write_rgb(arguments.output, contact_sheet(rows, ("bicubic", *students, "HR")))


def photographs_sheet(
    paths: Sequence[Path], students: Mapping[str, Student], scale: Scale
) -> np.ndarray:
    """A row for each photograph: bicubic, the weights, the peers."""
    from peers import PEERS_X4, ncnn_method

    peers = {name: ncnn_method(*PEERS_X4[name]) for name in PEERS}
    first = next(iter(students.values()))
    rows: list[list[np.ndarray]] = []
    for path in paths:
        lr = middle(read_rgb(path))
        with torch.inference_mode():
            ours, interpolated = first(to_tensor(lr)), bicubic(to_tensor(lr), scale)
        [box] = telling_boxes((to_array(ours), to_array(interpolated)), PART_PX, PART_PX, 1, scale)
        around = [
            slice(max(0, start // scale - CONTEXT_PX), (start + PART_PX) // scale + CONTEXT_PX)
            for start in (box.top, box.left)
        ]
        part = to_tensor(np.ascontiguousarray(lr[around[0], around[1]]))
        inner = Box(
            *(start - s.start * scale for start, s in zip(box[:2], around, strict=True)),
            PART_PX,
            PART_PX,
        )
        methods = {"bicubic": partial(bicubic, scale=scale), **students, **peers}
        with torch.inference_mode():
            rows.append([inner.of(to_array(method(part))) for method in methods.values()])
    return contact_sheet(rows, ("bicubic", *students, *PEERS))


def middle(pixels: np.ndarray) -> np.ndarray:
    top, left = ((side - min(side, MOST_PX)) // 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + MOST_PX, left : left + MOST_PX])


if __name__ == "__main__":
    main()
