"""Weights side by side at 100 %: a row for each of some real pairs, and for each degradation of
photographs inside the package.

    python benchmarks/weights_sheet.py imdn-x4 MINE.safetensors --pairs FOLDER -o
    docs/pictures/NAME.jpg

Of an image the part is shown where the first and the last weights differ most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from ibsd.data.degradation import degrade
from ibsd.data.pairs import find_layout, load_pair
from ibsd.data.presets import find_preset
from ibsd.data.samples import sample
from ibsd.images.rgb import bicubic, to_array, to_tensor, write_rgb
from ibsd.reporting.pictures import contact_sheet, telling_boxes
from ibsd.students import load_student

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
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    students = {Path(name).stem: load_student(name) for name in arguments.weights}
    [scale] = {student.spec.scale for student in students.values()}
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


def middle(pixels: np.ndarray) -> np.ndarray:
    top, left = ((side - min(side, MOST_PX)) // 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + MOST_PX, left : left + MOST_PX])


if __name__ == "__main__":
    main()
