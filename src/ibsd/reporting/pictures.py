"""Pictures of results: sheets of several images with labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

GAP_PX = 6
LABEL_PX = 18


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> np.ndarray:
    """Rows of images under column labels, each column as large as its last image's row asks: smaller ones are enlarged without smoothing.

    Args:
        rows: uint8 [h, w, 3] images; all rows have as many as there are labels.

    Returns: uint8 [H, W, 3].
    """
    cells = [[_at_size(image, row[-1].shape[1], row[-1].shape[0]) for image in row] for row in rows]
    cell_width = max(cell.width for row in cells for cell in row) + GAP_PX
    height = LABEL_PX + sum(row[-1].height + GAP_PX for row in cells)
    sheet = Image.new("RGB", (cell_width * len(labels), height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(labels):
        draw.text((column * cell_width + 2, 3), label, fill="black")
    top = LABEL_PX
    for row in cells:
        for column, cell in enumerate(row):
            sheet.paste(cell, (column * cell_width, top))
        top += row[-1].height + GAP_PX
    return np.asarray(sheet)


def _at_size(image: np.ndarray, width: int, height: int) -> Image.Image:
    picture = Image.fromarray(image)
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.NEAREST)
