"""Scores weights on pairs of a camera that they were not trained on, and shows parts of them side
by side in docs/pictures/other-cameras.jpg.

    python benchmarks/other_cameras.py PAIRS NAME=WEIGHTS [NAME=WEIGHTS ...]

PAIRS holds test_LR and test_HR at x4. For README they were made of City100's iPhone X: LR_x2 shrunk
to half by Pillow's bicubic, and of both sides the middle, 128 and 512 px. Prints the mean of PSNR-Y
(basicsr-y).

The scenes of the picture are not chosen by eye: of all pairs, sorted by how far the last weights
are ahead of the ones before them, the one at each quarter. Of a scene the part is shown where these
two differ most.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from ibsd.data.pairs import find_pairs
from ibsd.images.rgb import bicubic, read_rgb, to_array, to_tensor, write_rgb
from ibsd.metrics.protocols import basicsr_y
from ibsd.reporting.pictures import contact_sheet, telling_boxes
from ibsd.students import load_student

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "other-cameras.jpg"
SCALE = 4
PART_PX = 192
QUARTERS = (0.25, 0.5, 0.75)


def main() -> int:
    torch.set_num_threads(1)
    folder, *named = sys.argv[1:]
    students = {name: load_student(file) for name, file in (pair.split("=") for pair in named)}
    pairs = find_pairs(Path(folder) / "test_LR", Path(folder) / "test_HR")
    images: list[list[np.ndarray]] = []
    scores = np.empty((len(pairs), 1 + len(students)))
    for row, pair in enumerate(pairs):
        lr, hr = to_tensor(read_rgb(pair.lr)), to_tensor(read_rgb(pair.hr))
        with torch.inference_mode():
            srs = [bicubic(lr, SCALE), *(student(lr) for student in students.values())]
        scores[row] = [float(basicsr_y(sr, hr, SCALE)["psnr_y"]) for sr in srs]
        images.append([to_array(image) for image in (*srs, hr)])
    for name, mean in zip(("bicubic", *students), scores.mean(axis=0), strict=True):
        print(f"{mean:.3f} {mean - scores[:, 0].mean():+.3f} {name}")
    order = np.argsort(scores[:, -1] - scores[:, -2])
    rows: list[list[np.ndarray]] = []
    for quarter in QUARTERS:
        scene = images[order[round(quarter * (len(pairs) - 1))]]
        [box] = telling_boxes(scene[-3:-1], PART_PX, PART_PX, 1)
        rows.append([box.of(image) for image in scene])
    write_rgb(PICTURE, contact_sheet(rows, ("bicubic", *students, "HR")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
