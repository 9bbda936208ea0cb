"""What the page shows of a photograph: tiles that cover it once, and an overview of means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.app.previews import OVERVIEW_PX, TILE_PX, UNDER_TRANSPARENCY, Preview, displayed
from ibsd.images import PhotographHeader


@pytest.mark.slow
@pytest.mark.parametrize(
    ("height", "width", "grey"),
    [(1, 1, False), (512, 513, False), (600, 3211, False), (700, 40, True)],
)
@pytest.mark.parametrize("rows", [700, 100])
def test_tiles_cover_the_photograph_and_the_overview_is_its_mean(
    tmp_path: Path, height: int, width: int, grey: bool, rows: int
) -> None:
    y, x = np.mgrid[:height, :width]
    channels = [
        127 + 100 * np.sin(0.02 * y + 0.013 * x + phase) for phase in ((0,) if grey else (0, 2, 4))
    ]
    pixels = np.stack(channels, axis=2).astype(np.uint8)
    view = Preview(tmp_path / "view", PhotographHeader(height, width, grey=grey))
    for top in range(0, height, rows):
        view.add(pixels[top : top + rows])
    view.close()
    factor = -(-max(height, width) // OVERVIEW_PX)
    overview = np.asarray(Image.open(tmp_path / "view" / "overview.jpg"), dtype=float).reshape(
        -(-height // factor), -(-width // factor), -1
    )
    for row, column in ((0, 0), (-1, -1)):
        part = pixels[
            slice(None, factor) if row == 0 else slice((overview.shape[0] - 1) * factor, None)
        ]
        part = part[
            :, slice(None, factor) if column == 0 else slice((overview.shape[1] - 1) * factor, None)
        ]
        assert abs(overview[row, column] - part.mean(axis=(0, 1))).max() < 6

    def tile(row: int, column: int) -> np.ndarray:
        """[rows, columns, 1 or 3]."""
        pixels_of_tile = np.asarray(Image.open(tmp_path / "view" / f"{row}-{column}.jpg"))
        return pixels_of_tile.reshape(*pixels_of_tile.shape[:2], -1)

    whole = np.concatenate(
        [
            np.concatenate([tile(row, column) for column in range(-(-width // TILE_PX))], axis=1)
            for row in range(-(-height // TILE_PX))
        ]
    )
    assert whole.shape == pixels.shape
    assert abs(whole.astype(float) - pixels).mean() < 3


def test_deep_and_transparent_rows_are_shown_in_displayed() -> None:
    deep = np.array([[[0, 32768, 65535]]], np.uint16)
    assert displayed(deep, PhotographHeader(1, 1, bits=16)).tolist() == [[[0, 128, 255]]]
    rows = np.array([[[200, 0, 100, 255], [200, 0, 100, 0]]], np.uint8)
    assert displayed(rows, PhotographHeader(1, 2, alpha=True)).tolist() == [
        [[200, 0, 100], [UNDER_TRANSPARENCY] * 3]
    ]
